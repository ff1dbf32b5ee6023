"""Rooms, floors and arrows of a package: `python tools/import_map.py rag_app`.

A room is a module or folder directly in the package, an arrow an import between two rooms, and the
number of floors the longest chain of arrows. Exit status 1 where rooms import each other in a
circle.
"""

import sys
from graphlib import CycleError, TopologicalSorter

import grimp


def main(package: str) -> None:
    """Print the rooms by floor, the highest first, with what each imports."""
    graph = grimp.build_graph("rag_app", "data", "retrieval", "generation", "ui", "eval")
    rooms = sorted(graph.find_children(package))
    imports = {
        room: [
            other
            for other in rooms
            if other != room
            and graph.direct_import_exists(importer=room, imported=other, as_packages=True)
        ]
        for room in rooms
    }
    try:
        order = list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        sys.exit(f"a circle: {' -> '.join(reversed(error.args[1]))}")
    floor: dict[str, int] = {}
    for room in order:
        floor[room] = 1 + max((floor[other] for other in imports[room]), default=0)
    arrows = sum(map(len, imports.values()))
    lines = [f"{package}: {len(rooms)} rooms, {max(floor.values())} floors, {arrows} arrows"]
    for room in sorted(rooms, key=lambda name: (-floor[name], name)):
        names = " ".join(other.removeprefix(f"{package}.") for other in imports[room])
        lines.append(f"{floor[room]:3}  {room.removeprefix(f'{package}.')} -> {names or 'nothing'}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
