"""What is claimed of an upgrade, each claim judged by an interval.

Definition 1 by itself is here; all claims together are in :mod:`verification.audit.judge`, which loads more.
"""

from verification.audit.definition1 import audit
from verification.audit.report import Definition1Report, SideReport, Sides, UpgradeReport

__all__ = ["Definition1Report", "SideReport", "Sides", "UpgradeReport", "audit"]
