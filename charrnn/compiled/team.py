"""Products of one row that several threads compute together.

A product consists of panels (`charrnn.compiled.row`), and any thread can compute any of them with the same result. The
thread that steps announces a product in a job: it writes what the kernel is given, and then the ticket, which is the
number of panels that are left. Whoever takes a panel lowers the ticket, the announcing thread like the helpers
(`charrnn.compiled.team_threads`). So it never waits for a helper that has not come yet, only for one that has begun a
panel.
"""

from collections.abc import Sequence

import llvmlite.ir as ir

from charrnn.compiled.code import I8, I64, PTR, Code
from charrnn.compiled.forms import BYTES

# A job is JOB numbers of 64 bits. TICKET: how many panels are left. DONE: how many are computed. Many threads write
# these two, so each has a line of the cache of its own. GIVEN: what the kernel is given for the first panel.
TICKET, DONE, GIVEN, JOB = 0, 16, 32, 48
# The ticket that sends helpers away.
STOP = -1


class Team:
    """The functions of a module that share panels. kernel: for panels of `wide` numbers with a form of weights."""

    def __init__(self, kernel: ir.Function, of: Code, form: str, wide: int):
        self.kernel, self.wide, self.line = kernel, wide, wide * BYTES[form]
        self.take = self._emit_take(of)

    def announce(self, code: Code, job: ir.Value, given: Sequence[ir.Value], count: int) -> None:
        """Emit that a product of `count` panels is there to be computed."""
        b = code.b
        for place, value in enumerate(given):
            b.store(value, code.at(job, GIVEN + place, I64), align=8)
        b.store(code.i(0), code.at(job, DONE, I64), align=8)
        b.atomic_rmw("xchg", code.at(job, TICKET, I64), code.i(count), "release")

    def finish(self, code: Code, job: ir.Value, count: int) -> None:
        """Emit the computation of what no helper has taken, and then wait for the rest."""
        b = code.b
        b.call(self.take, [job])
        wait, after = b.append_basic_block(), b.append_basic_block()
        b.branch(wait)
        b.position_at_end(wait)
        code.pause()
        done = b.load_atomic(code.at(job, DONE, I64), "acquire", 8, typ=I64)
        b.cbranch(b.icmp_signed("==", done, code.i(count)), after, wait)
        b.position_at_end(after)

    def _emit_take(self, of: Code) -> ir.Function:
        """Emit `take(job)`: compute panels until none is left."""
        code = Code(of.module, of.machine, of.real, "take", [PTR])
        code.private()
        b, (job,) = code.b, code.function.args
        look, lower, panel, after = (b.append_basic_block() for _ in range(4))
        b.branch(look)
        b.position_at_end(look)
        address = code.at(job, TICKET, I64)
        left = b.load_atomic(address, "acquire", 8, typ=I64)
        b.cbranch(b.icmp_signed(">", left, code.i(0)), lower, after)
        b.position_at_end(lower)
        # It fails if somebody else has taken one. The product may be another one by now: what is given is read later.
        j = b.sub(left, code.i(1))
        lowered = b.cmpxchg(address, left, j, "acq_rel", "monotonic")
        b.cbranch(b.extract_value(lowered, 1), panel, look)
        b.position_at_end(panel)
        kinds = (PTR, PTR, PTR, I64, PTR, I64, PTR)
        x, weights, scales, k, z, moves, y = (
            b.load(code.at(job, GIVEN + place, I64), align=8, typ=kind) for place, kind in enumerate(kinds)
        )
        column = b.mul(j, code.i(self.wide))
        own = [code.at(weights, b.mul(b.mul(j, k), code.i(self.line)), I8), code.at(scales, column), k]
        at = [code.at(z, b.mul(column, moves)), moves, code.at(y, column)]
        b.call(self.kernel, [x, *own, *at, code.i(1)])
        b.atomic_rmw("add", code.at(job, DONE, I64), code.i(1), "release")
        b.branch(look)
        b.position_at_end(after)
        b.ret_void()
        return code.function

    def help(self, code: Code, job: ir.Value) -> None:
        """Emit what a helper does: to take panels, until it is sent away."""
        b = code.b
        look, work, after = (b.append_basic_block() for _ in range(3))
        with code.flushing():
            b.branch(look)
            b.position_at_end(look)
            code.pause()
            ticket = b.load_atomic(code.at(job, TICKET, I64), "acquire", 8, typ=I64)
            b.cbranch(b.icmp_signed("==", ticket, code.i(STOP)), after, work)
            b.position_at_end(work)
            b.call(self.take, [job])
            b.branch(look)
            b.position_at_end(after)
        b.ret_void()
