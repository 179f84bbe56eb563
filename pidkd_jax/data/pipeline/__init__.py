"""From a prepared split to training batches: schedule, augmentation, memory or disk."""
