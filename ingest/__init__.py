"""The live media plane: packets in, journal, timeline, tracks, mix and live segments out."""
