"""Outlook messages for tests: compound files (MS-CFB, version 3) of small streams (MS-OXMSG)."""

import struct

_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def outlook_message(
    subject: str, body: str | None = None, page: bytes | None = None, **attached: bytes
) -> bytes:
    """A message from Ida to Bo with a plain body, a page, and files (`a_csv` is a.csv)."""
    streams = {"": _texts({0x37: subject, 0x0C1A: "Ida", 0x0C1F: "ida@x.example"})}
    if body is not None:
        streams[""] |= _texts({0x1000: body})
    if page is not None:
        streams[""]["__substg1.0_10130102"] = page
    streams["__recip_version1.0_#00000000"] = _texts({0x3001: "Bo", 0x39FE: "bo@x.example"})
    for number, (name, content) in enumerate(attached.items()):
        inside = _texts({0x3707: name.replace("_", ".")}) | {"__substg1.0_37010102": content}
        streams[f"__attach_version1.0_#{number:08X}"] = inside
    for folder, inside in streams.items():
        tags = [int(name[-8:], 16) for name in inside]
        listed = b"".join(struct.pack("<IIQ", tag, 6, 0) for tag in tags)
        if not folder:
            listed += struct.pack("<IIQ", 0x3FDE0003, 6, 65001)
        if folder.startswith("__attach"):
            listed += struct.pack("<IIQ", 0x37050003, 6, 1)
        inside["__properties_version1.0"] = bytes(8 if folder else 32) + listed
    return _compound(streams)


def _texts(values: dict[int, str]) -> dict[str, bytes]:
    return {f"__substg1.0_{tag:04X}001F": text.encode("utf-16-le") for tag, text in values.items()}


def _compound(folders: dict[str, dict[str, bytes]]) -> bytes:
    """The file of these folders ("" is the root) of streams of less than 4096 bytes."""
    names: list[tuple[str, str, bytes | None]] = [("", "", None)]
    names += [("", folder, None) for folder in folders if folder]
    names += [
        (folder, name, raw) for folder, inside in folders.items() for name, raw in inside.items()
    ]
    small, chain, begins = b"", list[int](), dict[int, int]()
    for index, (_, _, raw) in enumerate(names):
        if raw:
            count = -(-len(raw) // 64)
            begins[index] = len(chain)
            chain += [*range(len(chain) + 1, len(chain) + count), _END]
            small += raw.ljust(64 * count, b"\0")
    tree: dict[int, tuple[int, int]] = {}

    def hang(entries: list[int]) -> int:
        if not entries:
            return _FREE
        middle = len(entries) // 2
        tree[entries[middle]] = hang(entries[:middle]), hang(entries[middle + 1 :])
        return entries[middle]

    entries = b""
    for index, (_, name, raw) in enumerate(names):
        inside = [
            i for i, (folder, _, _) in enumerate(names) if i and raw is None and folder == name
        ]
        child = hang(sorted(inside, key=lambda i: (len(names[i][1]), names[i][1].upper())))
        names[index] = (*names[index][:2], raw)
        tree.setdefault(index, (_FREE, _FREE))
        begins.setdefault(index, _END if raw is not None else 0)
        entries += struct.pack("<I", child)
    children = struct.unpack(f"<{len(names)}I", entries)
    chain_raw = struct.pack(f"<{len(chain)}I", *chain)
    sizes = [-(-len(names) // 4), -(-len(chain_raw) // 512), -(-len(small) // 512)]
    starts = [1, 1 + sizes[0], 1 + sizes[0] + sizes[1]]
    fat = [_FAT]
    for start, count in zip(starts, sizes, strict=True):
        fat += [*range(start + 1, start + count), _END]
    listing = b""
    for index, (_, name, raw) in enumerate(names):
        title = (name or "Root Entry").encode("utf-16-le") + b"\0\0"
        kind = 2 if raw is not None else 1 if index else 5
        begin, size = (begins[index], len(raw or b"")) if index else (starts[2], len(small))
        listing += struct.pack(
            "<64sHBBIII36xIQ",
            title,
            len(title),
            kind,
            1,
            *tree[index],
            children[index],
            begin,
            size,
        )
    head = struct.pack(
        "<8s16x5H6x9I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6,
        0, 1, starts[0], 0, 4096, starts[1], sizes[1], _END, 0,
    )  # fmt: skip
    return (
        (head + struct.pack("<I", 0)).ljust(512, b"\xff")
        + struct.pack(f"<{len(fat)}I", *fat).ljust(512, b"\xff")
        + listing.ljust(512 * sizes[0], b"\0")
        + chain_raw.ljust(512 * sizes[1], b"\xff")
        + small.ljust(512 * sizes[2], b"\0")
    )
