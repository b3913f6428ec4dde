"""How right the values and their boxes are, measured on labelled documents."""
