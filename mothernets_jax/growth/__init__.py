"""The paper's idea: clusters of members, their MotherNets, and hatching."""
