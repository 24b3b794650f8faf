"""Pictures: those of a finished run, of error surfaces and paths over them, and of what was selected."""

from denpa.lab.figures.landscapes import paths_animation, paths_picture
from denpa.lab.figures.loss_surface import loss_surface_picture
from denpa.lab.figures.run import write_all
from denpa.lab.figures.selection import degree_picture, lasso_picture, sweep_picture, weight_decay_picture

__all__ = [
    "degree_picture",
    "lasso_picture",
    "loss_surface_picture",
    "paths_animation",
    "paths_picture",
    "sweep_picture",
    "weight_decay_picture",
    "write_all",
]
