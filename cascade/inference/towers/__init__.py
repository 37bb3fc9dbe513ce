"""What runs an encoder's layers: one small interface over every runtime that can."""
