"""The method, a file a stage: `train.py` is its order, `choices.py` what a scan and its noise decide.

In each stage's file are its loss, the estimator that it gives, and the loss of a step as a function of
the step's number alone. Networks are passed in; the engine is `training/`.
"""
