"""Every tolerance of the comparisons, by quantity: relative to the largest value of what is compared."""

# Per-cell exposure against the method of lines, by the solver's rtol: the default, and a hundred times tighter.
EXPOSURE = {1e-2: 1e-3, 1e-4: 1e-5}
# Fields, states and bath at every output, relative to the largest value of each over space and time.
FINAL_VALUE = {1e-2: 2e-2, 1e-4: 3e-4}
# Exact solutions: discretisation on the grids used, with time errors well below.
EXACT_SOLUTION = 5e-3
# The time error of rtol = 1e-5, where the discretisation is exact.
TIGHT_TIME = 5e-5
# Published figures are rounded to three digits; the time error adds a little.
PUBLISHED = 1e-2
PUBLISHED_SPHEROID = 2e-2
# Amounts that appear or vanish, relative to what was dosed or there at the start.
BALANCE = 1e-11
# NumPy and Numba over a whole run, by precision of the preconditioner; the second far below time errors.
BACKENDS = {"float64": 1e-10, "mixed": 1e-6}
# Mean exposure on a grid and on one of half its spacing.
RESOLUTION = 2e-2
# Observed orders: smallest slope measured on the grids of each test less 0.1, at most the nominal one less 0.1.
ORDER_IN_TIME = 2.84  # measured 2.945 with equal steps
ORDER_CONTROLLED = 2.9  # 3.18: steps that a controller chose are not quite in proportion
ORDER_SLAB = 1.9  # 2.006
ORDER_MODE = 1.89  # 1.992
ORDER_SPHERE = {"uptake": 1.83, "profile": 1.74}  # 1.930 and 1.845
ORDER_KROGH = 1.83  # 1.930
ORDER_STAIRCASE = 1.46  # what a staircase must stay below: 1.357, plus 0.1
