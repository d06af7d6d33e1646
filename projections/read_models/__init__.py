"""The read models: one folder each, found by the catalog."""

from projections.read_models.catalog import ROOT

__all__ = ["ROOT"]
