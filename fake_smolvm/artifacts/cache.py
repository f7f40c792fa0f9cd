"""The unpacked assets of artifacts."""

from __future__ import annotations

import os

from fake_smolvm.artifacts.errors import ArtifactError
from fake_smolvm.artifacts.manifest import LAYERS
from fake_smolvm.artifacts.tar import is_own_file, unpack
from fake_smolvm.artifacts.zstd import unframed
from fake_smolvm.errors import os_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.artifacts.format import Footer
    from fake_smolvm.machines.paths import Paths

_FOLDER = "smolvm-pack"
_EXTRACTED = ".smolvm-extracted"


class Cache:
    """The unpacked assets of artifacts, one folder for each checksum."""

    __slots__ = ("folder", "shown_folder")

    def __init__(self, paths: Paths) -> None:
        self.folder = os.path.join(paths.state, _FOLDER)
        """Where they really lie."""
        self.shown_folder = os.path.join(paths.shown_cache_dir(), _FOLDER)
        """Where 0.8.0 would have put, and says it put, them."""

    def entry(self, footer: Footer) -> str:
        """Return the folder of one artifact's assets; it need not exist."""
        return os.path.join(self.folder, f"{footer.checksum:08x}")

    def holds(self, footer: Footer) -> bool:
        """Tell whether an artifact's assets are all there."""
        return os.path.exists(os.path.join(self.entry(footer), _EXTRACTED))

    def add(
        self, path: str, footer: Footer, *, force: bool = False, inside_program: bool = False
    ) -> bool:
        """Unpack the assets of the artifact at `path`, unless they are there.

        Processes that do so at the same time wait for each other; one that fails leaves nothing
        half done.

        Args:
            path: The file.
            footer: Its footer.
            force: Unpack them again if they are there.
            inside_program: They stand where the footer says, not at the start of the file.

        Returns:
            Whether anything was unpacked.

        Raises:
            ArtifactError: If they cannot be unpacked.
        """
        if self.holds(footer) and not force:
            return False
        from fcntl import LOCK_EX, flock
        from shutil import rmtree

        entry = self.entry(footer)
        os.makedirs(self.folder, exist_ok=True)
        lock = os.open(f"{entry}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            flock(lock, LOCK_EX)
            if self.holds(footer) and not force:
                return False
            rmtree(entry, ignore_errors=True)
            try:
                os.mkdir(entry)
                self._unpack(path, footer, inside_program=inside_program)
                with open(os.path.join(entry, _EXTRACTED), "xb"):
                    pass
            except BaseException as error:
                rmtree(entry, ignore_errors=True)
                if isinstance(error, OSError):
                    raise ArtifactError(os_error_text(error)) from None
                raise
        finally:
            os.close(lock)
        return True

    def _unpack(self, path: str, footer: Footer, *, inside_program: bool) -> None:
        entry = self.entry(footer)
        shown = os.path.join(self.shown_folder, os.path.basename(entry))
        with open(path, "rb") as file:
            file.seek(footer.assets_offset if inside_program else 0)
            tar = unframed(file, footer.assets_size, f"{entry}.tar")
        if tar is not None:
            with tar:
                unpack(tar, entry, shown)
        layers = os.path.join(entry, LAYERS)
        if os.path.isdir(layers) and not os.path.islink(layers):
            for name in os.listdir(layers):
                _unpack_layer(layers, name, os.path.join(shown, LAYERS))


def _unpack_layer(layers: str, name: str, shown: str) -> None:
    path = os.path.join(layers, name)
    folder, extension = os.path.splitext(path)
    if extension == ".tar" and is_own_file(path) and not os.path.lexists(folder):
        os.mkdir(folder)
        with open(path, "rb") as file:
            unpack(file, folder, os.path.join(shown, os.path.basename(folder)))
