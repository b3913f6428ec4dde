"""Words of the domain that every room uses: errors, ids, back-off. No I/O."""
