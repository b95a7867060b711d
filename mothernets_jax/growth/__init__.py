"""The paper's idea: MotherNets, clusters of them, and hatching."""
