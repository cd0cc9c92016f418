"""What is claimed of an upgrade, each claim judged by an interval."""

from verification.audit.definition1 import audit
from verification.audit.judge import Options, judge
from verification.audit.report import Definition1Report, SideReport, Sides, UpgradeReport

__all__ = ["Definition1Report", "Options", "SideReport", "Sides", "UpgradeReport", "audit", "judge"]
