"""The processor for which code is compiled, and LLVM's compiler for it."""

import hashlib

import llvmlite.binding as llvm
import llvmlite.ir as ir


class Machine:
    """A processor: by default this one. `features` are LLVM's names for its instructions, such as "+avx2".

    vector_bytes: the width of its vectors. rows, vectors: how many rows and vectors of its result a product's kernel
    keeps in registers; the others are for a number of the left operand and for the columns of the right one.
    """

    def __init__(self, cpu: str | None = None, features: str | None = None):
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.triple = llvm.get_process_triple()
        self.cpu = llvm.get_host_cpu_name() if cpu is None else cpu
        self.features = llvm.get_host_cpu_features().flatten() if features is None else features
        self.x86 = self.triple.startswith("x86_64")
        if "+avx512f" in self.features.split(","):
            # With 12 rows LLVM would move registers to memory.
            self.vector_bytes, self.rows, self.vectors = 64, 10, 2
        elif "+avx2" in self.features.split(","):
            self.vector_bytes, self.rows, self.vectors = 32, 6, 2
        else:
            self.vector_bytes, self.rows, self.vectors = 16, (6 if self.x86 else 8), (2 if self.x86 else 3)

    def _target(self) -> llvm.TargetMachine:
        target = llvm.Target.from_triple(self.triple)
        return target.create_target_machine(self.cpu, self.features, opt=3, jit=True)

    def object_code(self, module: ir.Module | str) -> bytes:
        """Return the object code of a module, or of its text."""
        parsed = llvm.parse_assembly(str(module))
        parsed.verify()
        target = self._target()
        options = llvm.create_pipeline_tuning_options(speed_level=1)
        # The code is made of vectors already: to look for more takes half of the time and gains nothing.
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
        builder = llvm.create_pass_builder(target, options)
        builder.getModulePassManager().run(parsed, builder)
        return target.emit_object(parsed)

    def load(self, code: bytes) -> "Loaded":
        """Return object code that can be called."""
        # The loaded code owns its target, so it gets one of its own.
        return Loaded(code, self._target())


class Loaded:
    """Object code in memory; it stays there as long as this object. `digest`: of the code."""

    def __init__(self, code: bytes, target: llvm.TargetMachine):
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.digest = hashlib.sha256(code).hexdigest()

    def address(self, name: str) -> int:
        """Return the address of a function."""
        return self._engine.get_function_address(name)
