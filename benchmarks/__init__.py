"""Speed and accuracy beside opponents: measured, never promised."""
