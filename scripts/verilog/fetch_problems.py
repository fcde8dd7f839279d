"""Downloads the problems of VerilogEval v2 at the pinned commit: one archive of its repository, one folder out of it.

The folder's content is checked by hash. That of spec-to-rtl is known here; that of code-complete is not, so the archive
is checked by its spec-to-rtl folder, and the hash found is written down and can be pinned (verilog.problems_sha256).
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.common.errors import UserError, entry_point
from scripts.common.files import disk_errors_in_one_line, file_lock, replace_files, write_manifest
from scripts.common.problems import VERILOG_EVAL_COMMIT, VERILOG_EVAL_FOLDERS, read_problems
from scripts.common.settings import parse_settings
from scripts.verilog.archive_download import content_sha256, download, folder_of_archive

ARCHIVE_URL = f"https://codeload.github.com/NVlabs/verilog-eval/tar.gz/{VERILOG_EVAL_COMMIT}"
KNOWN_SHA256 = {"spec-to-rtl": "e3db0e2b65ba60d3cb180894c1144446d6bff04a84a9cc36609175c629f874b9"}


@dataclasses.dataclass(frozen=True)
class FetchSettings:
    """Which of VerilogEval's sets of problems, and the hash that its content must have (None: whatever is known)."""

    problems: str
    problems_sha256: str | None

    def __post_init__(self) -> None:
        if self.problems not in VERILOG_EVAL_FOLDERS:
            raise ValueError(f"problems must be one of {', '.join(VERILOG_EVAL_FOLDERS)}")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of FetchSettings")
    parser.add_argument("--url", default=ARCHIVE_URL, help=f"the archive, a .tar.gz (default {ARCHIVE_URL})")
    parser.add_argument("--output", type=Path, required=True, help="manifest.json of the folder to write")
    return parser.parse_args(argv)


def checked_files(archive: Path, settings: FetchSettings) -> tuple[dict[str, bytes], str]:
    """The files of the wanted folder and their hash. Raises ValueError for an archive that is not the pinned one."""
    wanted: Mapping[str, str] = KNOWN_SHA256
    if settings.problems_sha256 is not None:
        wanted = {**KNOWN_SHA256, settings.problems: settings.problems_sha256}
    for name in sorted({*wanted, settings.problems}):
        files = folder_of_archive(archive, VERILOG_EVAL_FOLDERS[name])
        found = content_sha256(files)
        if found != wanted.get(name, found):
            raise ValueError(f"its {name} has the content hash {found}, expected {wanted[name]}")
    files = folder_of_archive(archive, VERILOG_EVAL_FOLDERS[settings.problems])
    return files, content_sha256(files)


def write_folder(folder: Path, files: Mapping[str, bytes], extra: dict[str, str]) -> None:
    """Makes `folder` hold `files`, with a manifest, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        for file, content in files.items():
            Path(name, file).write_bytes(content)
        read_problems(Path(name))
        replace_files(folder, {file: Path(name, file) for file in files})
        write_manifest(folder, dict(extra))


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(FetchSettings, args.settings)
    folder = args.output.parent
    archive = folder.parent / f"{VERILOG_EVAL_COMMIT}.tar.gz"
    with disk_errors_in_one_line(folder.parent), file_lock(folder.parent / "lock"):
        if not archive.exists():
            download(args.url, archive)
        try:
            files, found = checked_files(archive, settings)
        except ValueError as error:
            archive.unlink()
            raise UserError(
                f"{args.url}: what came is not the archive of commit {VERILOG_EVAL_COMMIT[:12]}: {error}; it is "
                "deleted: run the same again, or correct verilog.problems_sha256"
            ) from None
        origin = {"url": args.url, "commit": VERILOG_EVAL_COMMIT, "set": settings.problems, "content_sha256": found}
        write_folder(folder, files, origin)
    pinned = settings.problems in KNOWN_SHA256 or settings.problems_sha256 is not None
    print(
        f"{settings.problems}: {len(read_problems(folder))} problems, content hash {found}"
        + ("" if pinned else "; not known beforehand: pin it with verilog.problems_sha256")
    )


if __name__ == "__main__":
    main()
