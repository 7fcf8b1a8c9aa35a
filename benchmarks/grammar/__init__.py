"""A grammar of mistakes: what × where × when × how much. It draws broken LSTMs whose true explanation is known.

The mistakes are applied to the reference. Nothing here uses the moves and rules of ``conformance.defects.experiment``
or the defects of the catalogue, so that their explanations can be measured with it.
"""
