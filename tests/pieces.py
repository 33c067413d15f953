"""Bytes that come in pieces."""

import itertools


class Pieces:
    """A socket whose other end sends in pieces, and then closes."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def recv(self, most):
        """Give the next piece, or as much of it as is wanted."""
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > most:
            self.pieces.insert(0, piece[most:])
        return piece[:most]

    def recv_into(self, view):
        """Do the same with room that is there already."""
        piece = self.recv(len(view))
        view[: len(piece)] = piece
        return len(piece)


def sliced(data, cuts):
    """Cut *data* at several places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]
