"""stub"""
from dataclasses import dataclass
from unbend.study.history.values import History
from unbend.study.values import Finding

@dataclass(frozen=True, slots=True)
class Occurrence:
    step: int
    finding: Finding

def judge(history: History) -> tuple[Occurrence, ...]:
    return ()
