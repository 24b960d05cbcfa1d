from app.models.base import Base
from mscr.models.job import JobMixin, job_indexes


class Job(Base, JobMixin):
    __tablename__ = "jobs"
    __table_args__ = job_indexes("jobs")
