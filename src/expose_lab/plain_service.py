"""A service as everybody writes it: FastAPI around a pickle. It is what `expose serve` is measured against.

    python -m expose_lab.plain_service forest.pickle

The pickle holds a detector, an isolation forest of scikit-learn or one of ours, and the names of its columns; without a
pickle it is a server that reads requests and answers all alike. The first line that it prints is its port.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from expose_lab.bodies import ARROW


def application(model: Any, names: list[str]) -> Any:
    """Scores of rows as JSON, and of an Arrow stream."""
    from fastapi import Body, FastAPI, Response

    app = FastAPI()

    @app.post("/score")
    def score(rows: list[dict[str, float]]) -> dict[str, list[Any]]:
        return {name: values.tolist() for name, values in said(np.array([[row[n] for n in names] for row in rows]))}

    @app.post("/arrow")
    def score_arrow(body: bytes = Body(media_type=ARROW)) -> Response:
        table = pa.ipc.open_stream(body).read_all()
        answer = pa.table(dict(said(np.column_stack([table[name].to_numpy() for name in names]))))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, answer.schema) as stream:
            stream.write_table(answer)
        return Response(sink.getvalue().to_pybytes(), media_type=ARROW)

    def said(rows: Any) -> list[tuple[str, Any]]:
        scores = model.score_samples(rows)
        return [("anomaly_score", -scores), ("is_anomaly", scores < model.offset_)]

    return app


class Nothing(asyncio.Protocol):
    """Answers every request with the same, as soon as its body is there."""

    ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport
        self._came = bytearray()

    def data_received(self, data: bytes) -> None:
        """A piece of a request, of which one is on its way at a time."""
        from expose_lab.http_load import END, length_of

        self._came += data
        end = self._came.find(END)
        if end >= 0 and len(self._came) >= end + len(END) + length_of(bytes(self._came[:end]).lower()):
            self._came.clear()
            self._transport.write(self.ANSWER)


async def do_nothing(listener: socket.socket) -> None:
    """Serve nothing, for ever."""
    server = await asyncio.get_running_loop().create_server(Nothing, sock=listener)
    await server.serve_forever()


def main(pickled: str = "") -> None:
    """Serve on a free port of this machine, which is printed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as Uvicorn has it where it makes the socket
    print(listener.getsockname()[1], flush=True)
    if not pickled:
        asyncio.run(do_nothing(listener))
        return
    import uvicorn

    os.dup2(2, 1)  # what is logged of each request goes where errors go
    model, names = pickle.loads(Path(pickled).read_bytes())
    uvicorn.Server(uvicorn.Config(application(model, names))).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
