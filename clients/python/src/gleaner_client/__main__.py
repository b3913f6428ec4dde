"""`python -m gleaner_client` is `gleaner`."""

from gleaner_client.cli import main

main()
