"""Worksheets: the gradients of a network of dense layers, derived step by step, with blanks or with answers.

sheet = worksheet("3-4-2:sigmoid:softmax")
page = html(sheet, "en", answers=False)
"""

from denpa.lab.worksheet.document import LANGUAGES, Step, Worksheet, checked_language
from denpa.lab.worksheet.make import derive, worksheet
from denpa.lab.worksheet.page_html import html
from denpa.lab.worksheet.page_latex import latex_source

__all__ = ["LANGUAGES", "Step", "Worksheet", "checked_language", "derive", "html", "latex_source", "worksheet"]
