"""torch without its headers, its own tests and what only its developers run.

PyInstaller's own hook takes every module and file of the wheel, of which a third is those.
"""

from PyInstaller.utils.hooks import (
    PY_DYLIB_PATTERNS,
    collect_data_files,
    collect_dynamic_libs,
    collect_submodules,
)

# Functions that torch compiles are read from their source.
module_collection_mode = "pyz+py"
datas = collect_data_files(
    "torch",
    excludes=[
        "include/**", "test/**", "bin/test*", "bin/protoc*", "bin/*Test", "share/**",
        "testing/**", "_inductor/codegen/**", "lib/libshm*/**",
        "**/*.h", "**/*.hpp", "**/*.cuh", "**/*.lib", "**/*.cpp", "**/*.pyi", "**/*.cmake",
    ],
)  # fmt: skip
_OF_TESTS = ("jitbackend_test", "torchbind_test", "backend_with_compiler", "aoti_custom_ops")
binaries = [
    (path, place)
    for path, place in collect_dynamic_libs("torch", search_patterns=[*PY_DYLIB_PATTERNS, "*.so.*"])
    if not any(name in path for name in _OF_TESTS)
]
# Imported by name, so that no analysis sees them.
hiddenimports = [
    "torch._dynamo", "torch._inductor.config", "torch.export", "torch.onnx", "torch.onnx.operators",
    *collect_submodules("torch._dynamo.polyfills"),
]  # fmt: skip
# Links to its libraries beside the program would mislead it about where it lies.
bindepend_symlink_suppression = ["**/torch/lib/*.so*"]
