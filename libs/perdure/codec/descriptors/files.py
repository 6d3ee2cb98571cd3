"""Descriptor files as reflection serves them: under the name of their deployment, and with names that every client takes.

Deployments may hold different files of one name, so theirs are prefixed, but for the standard ones. Services whose name has dots (routers
of the seed era, in a file without package) are moved to files of their own with the package that their name says: protobuf in most
languages refuses them otherwise. Source: shared/spec/seed-era.md, 4.6.
"""

import functools
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from perdure.codec.descriptors.errors import UnknownSymbol
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.descriptors.repair import well_known_file

_SPLIT: Final = "perdure-split/"
"""Before the name of a file made for services with dotted names."""


class ServedFiles:
    """The files of one set of descriptors.

    Args:
        prefix: Put before the names of its own files.
    """

    def __init__(self, descriptors: Descriptors, *, prefix: str = "") -> None:
        self.descriptors = descriptors
        self._prefix = prefix

    def containing(self, symbol: str) -> list[bytes]:
        """Return the file that defines a symbol, first, and all that it needs.

        Raises:
            UnknownSymbol: None defines it.
        """
        name = self._moved.get(symbol) or self._moved.get(symbol.rpartition(".")[0]) or self.descriptors.file_containing(symbol)
        return self._with_dependencies(name)

    def named(self, served_name: str) -> list[bytes]:
        """Return a file by the name under which it is served, first, and all that it needs.

        Raises:
            UnknownSymbol: There is none.
        """
        name = served_name.removeprefix(self._prefix)
        if self._served_name(name) != served_name:
            raise UnknownSymbol(f"there is no file {served_name}")
        return self._with_dependencies(name)

    def _with_dependencies(self, name: str) -> list[bytes]:
        split = self._split.get(name)
        if split is None:
            return [self._served(file) for file in self.descriptors.with_dependencies(name)]
        needed = self.descriptors.with_dependencies(split.dependency[0])
        return [self._served(split), *map(self._served, needed)]

    def _served_name(self, name: str) -> str:
        return name if well_known_file(name) is not None else self._prefix + name

    def _served(self, file: FileDescriptorProto) -> bytes:
        served = FileDescriptorProto()
        served.CopyFrom(file)
        served.name = self._served_name(file.name)
        served.ClearField("source_code_info")
        for index, dependency in enumerate(file.dependency):
            served.dependency[index] = self._served_name(dependency)
        for index in reversed(range(len(served.service))):
            if "." in served.service[index].name:
                del served.service[index]
        return served.SerializeToString()

    @functools.cached_property
    def _split(self) -> dict[str, FileDescriptorProto]:
        """File name -> file, for services with dotted names."""
        files: dict[str, FileDescriptorProto] = {}
        for full_name, service in self.descriptors.services.items():
            origin = self.descriptors.file(service.file_name)
            declared = next(each for each in origin.service if full_name in (each.name, f"{origin.package}.{each.name}"))
            if "." in declared.name:
                package, _, short_name = full_name.rpartition(".")
                file = FileDescriptorProto(
                    name=f"{_SPLIT}{full_name}.proto", package=package, syntax=origin.syntax, dependency=[origin.name]
                )
                file.service.add().CopyFrom(declared)
                file.service[0].name = short_name
                files[file.name] = file
        return files

    @functools.cached_property
    def _moved(self) -> dict[str, str]:
        """Full name of a service -> its file, where it was moved."""
        return {f"{file.package}.{file.service[0].name}": name for name, file in self._split.items()}
