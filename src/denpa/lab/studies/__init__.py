"""Studies: claims about learning that are put to the test, with what is expected and what is measured."""

from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text

__all__ = ["Check", "Picture", "Plan", "Result", "Study", "Text"]
