"""How fast the parts are, as ratios against named peers."""
