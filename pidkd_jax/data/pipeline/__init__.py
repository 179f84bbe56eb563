"""From images to training batches: schedule, augmentation, splits in memory and on disk."""
