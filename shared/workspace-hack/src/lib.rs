//! Nothing: its manifest gives every dependency of the workspace one set of features.
