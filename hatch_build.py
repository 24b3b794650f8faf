"""Build hook: compiles the native kernels where that can be done; where it cannot, denpa is installed without them."""

from __future__ import annotations

import importlib.util
import os
import platform
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeKernels(BuildHookInterface):
    """Runs scripts/build_native.py and puts what it makes into the wheel."""

    def dependencies(self) -> list[str]:
        """XLA's headers come with jaxlib; nobody needs to fetch it who has no compiler, or has it already."""
        script = self._script()
        wanted = self.target_name == "wheel" and script.wanted() and script.compiler() and not script.headers()
        return ["jaxlib>=0.10"] if wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile in place, so that an editable installation finds the library as well."""
        if self.target_name != "wheel":
            return
        script = self._script()
        if not script.wanted():
            return
        try:
            library = script.build()
        except (script.BuildError, OSError) as error:
            self.app.display_warning(f"denpa is installed without native kernels; XLA serves. {error}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform()}"
        if version != "editable":
            place = library.relative_to(Path(self.root) / "src").as_posix()
            build_data["force_include"][str(library)] = place

    def _script(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("build_native", Path(self.root) / "scripts" / "build_native.py")
        if spec is None or spec.loader is None:
            raise ImportError("scripts/build_native.py is missing from the sources")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def _platform() -> str:
    name = sysconfig.get_platform()
    if name.startswith("macosx-"):  # Python may be for two processors; the library is for this one
        target = os.environ.get("MACOSX_DEPLOYMENT_TARGET") or name.split("-")[1]
        name = f"macosx-{target}-{platform.machine()}"
    return name.replace("-", "_").replace(".", "_")
