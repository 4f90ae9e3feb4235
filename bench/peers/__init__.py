"""The methods that ours is held against, from their own packages where these can be installed."""
