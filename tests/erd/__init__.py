"""Diagrams of the schema, in docs/erd, from the catalog of a database: ``make erd``.

A test compares what is committed with what the catalog gives. The text is Mermaid. The pictures are
laid out by Graphviz, as WebAssembly, which draws alike everywhere and needs no browser; each says
of which text it was made, so that the test needs no Graphviz.
"""
