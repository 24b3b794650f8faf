"""Error surfaces over two weights, and the paths that optimisers take on them.

path = trajectory(Valley(), Momentum(0.05), steps=50)          # (51, 2)
"""

from denpa.lab.landscapes.paths import contestants, trajectory
from denpa.lab.landscapes.surfaces import SURFACES, Cliff, ManyMinima, Plateau, Saddle, Surface, Valley

__all__ = ["SURFACES", "Cliff", "ManyMinima", "Plateau", "Saddle", "Surface", "Valley", "contestants", "trajectory"]
