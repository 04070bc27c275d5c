"""The printed, the predicted and the measured, side by side."""
