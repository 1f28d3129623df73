"""Training of veil's face detector: pretrain, finetune, export."""
