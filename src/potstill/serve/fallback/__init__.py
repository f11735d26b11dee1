"""Who answers what a model defers: nobody, a person's queue, or the teacher."""

from potstill.serve.fallback.queue import Abstain, QueueFallback, need_consent
from potstill.serve.fallback.teacher import TeacherFallback

__all__ = ["Abstain", "QueueFallback", "TeacherFallback", "need_consent"]
