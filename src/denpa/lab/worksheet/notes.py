"""The worksheet of a network of three layers in letters alone: 59 steps from the forward equations to the summary.

The derivation is that of Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors",
with the two errors of Bishop (2006), "Pattern Recognition and Machine Learning", section 5.2. l inputs, m hidden units,
n outputs; indices i, j, k.
"""

from __future__ import annotations

from denpa.lab.worksheet.document import Draft, Text, Worksheet
from denpa.lab.worksheet.notes_calculus import calculus
from denpa.lab.worksheet.notes_deltas import deltas, summary
from denpa.lab.worksheet.notes_forward import aim, propagation
from denpa.lab.worksheet.notes_gradients import gradients_of_hidden, gradients_of_output

__all__ = ["NOTES", "notes"]

NOTES = "notes"


def notes() -> Worksheet:
    """The whole worksheet."""
    draft = Draft(
        NOTES, Text("Worksheet: the gradients of a network of three layers", "ワークシート：3層ネットワークの勾配")
    )
    draft.say(
        Text(
            "Each number marks an answer. The sum over all units of a layer has the index $r$.",
            "番号は空欄（解答）を示す。層の全ユニットについての和の添字を$r$とする。",
        )
    )
    propagation(draft)
    aim(draft)
    calculus(draft)
    gradients_of_output(draft)
    gradients_of_hidden(draft)
    deltas(draft)
    summary(draft)
    return draft.finished()
