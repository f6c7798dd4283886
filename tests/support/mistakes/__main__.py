"""`python -m tests.support.mistakes SEED COUNT`: those of so many mistakes that are told badly."""

import sys

from tests.support.mistakes import mistakes
from tests.support.mistakes.judge import fault_of, shown

seed, count = (int(text) for text in sys.argv[1:3])
bad = 0
for one in mistakes(seed, count):
    if fault := fault_of(one):
        bad += 1
        print(f"{fault}: {shown(one)}\n")
print(f"{bad} of {count}")
