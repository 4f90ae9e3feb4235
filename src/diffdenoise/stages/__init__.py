"""The method's three stages as losses, samplers and estimators; networks are passed in."""
