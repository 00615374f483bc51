"""Machines as operators look at them: classes with their queues, trainers with their devices."""
