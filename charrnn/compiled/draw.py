"""The code that draws the characters of a single text, by the same rules as `charrnn.inference.sampling`."""

import llvmlite.ir as ir

from charrnn.compiled.code import I8, I64, PTR, Code
from charrnn.compiled.reductions import Row
from charrnn.compiled.stream import F64, Caller, StepCode


class DrawCode(Caller):
    """Emits `draw`: step with ids[0], draw ids[1], step with it, and so on, up to `count` draws or an id that stops.

    In the end numbers[0] is how many were drawn. The last one has not been read. A draw from what is not a number gives
    the id after the last one.
    """

    def __init__(self, step: StepCode):
        kept_above = _kept_above(step)
        super().__init__(step, "draw")
        code, b = self.code, self.code.b
        self.row, self.found = Row(code, self.vocab), b.alloca(F64, size=2)
        self.least, self.total = b.alloca(code.real), b.alloca(F64)
        with code.flushing():
            before, body, after = b.block, b.append_basic_block(), b.append_basic_block()
            b.branch(body)
            b.position_at_end(body)
            n = b.phi(I64)
            n.add_incoming(code.i(0), before)
            self._weigh(self.steps(n, 1))
            self._filter(kept_above)
            drawn = self._pick(code.load(self.at("uniforms", n, F64), F64))
            made = b.add(n, code.i(1))
            b.store(drawn, self.at("ids", made, I64))
            stops = b.load(self.at("stops", drawn, I8), typ=I8)
            goes_on = b.icmp_signed("==", stops, ir.Constant(I8, 0))
            goes_on = b.and_(goes_on, b.icmp_signed("<", made, self.numbers["count"]))
            n.add_incoming(made, b.block)
            b.cbranch(goes_on, body, after)
            b.position_at_end(after)
            b.store(made, self.at("numbers", 0, I64))
        b.ret_void()

    def _weigh(self, logits: ir.Value) -> None:
        """Emit the weights: exp((logits + mask - their largest) / temperature)."""
        code, b = self.code, self.code.b

        def allowed(u: ir.Value) -> ir.Value:
            return b.fadd(code.load(code.at(logits, u)), code.load(self.at("mask", u)))

        top = self.row.reduced(float("-inf"), allowed, code.maximum)
        temperature = b.fptrunc(self.reals["temperature"], code.real)
        for u in code.columns(self.vocab):
            scaled = code.divide(b.fsub(allowed(u), code.splat(top)), code.splat(temperature))
            code.store(code.exp(scaled), self.at("weights", u))

    def _filter(self, kept_above: ir.Function) -> None:
        """Emit the filters: weights below the least one that they keep become 0."""
        code, b = self.code, self.code.b
        top_k, top_p, min_p = self.numbers["top_k"], self.reals["top_p"], b.fptrunc(self.reals["min_p"], code.real)
        infinite = ir.Constant(F64, float("inf"))
        least, share = (code.at(self.found, place, F64) for place in (0, 1))
        b.store(min_p, self.least)

        def raise_to(limit: ir.Value, mass: ir.Value) -> None:
            b.call(kept_above, [self.given["weights"], limit, mass, self.found])
            b.store(
                code.maximum(b.fptrunc(b.load(least, typ=F64), code.real), b.load(self.least, typ=code.real)),
                self.least,
            )

        few = b.icmp_signed("<", top_k, code.i(self.vocab))
        with b.if_else(few) as (then, otherwise):
            with then:
                raise_to(top_k, infinite)
            with otherwise:
                b.store(self._total(), share)
        with b.if_then(b.fcmp_ordered("<", top_p, ir.Constant(F64, 1.0))):
            whole = b.load(share, typ=F64)
            raise_to(top_k, b.fsub(whole, b.fmul(b.fsub(ir.Constant(F64, 1.0), top_p), whole)))
        smallest = b.load(self.least, typ=code.real)
        with b.if_then(b.fcmp_ordered(">", smallest, ir.Constant(code.real, 0.0))):
            for u in code.columns(self.vocab):
                weight = code.load(self.at("weights", u))
                left_out = b.fcmp_ordered("<", weight, code.splat(smallest))
                code.store(b.select(left_out, code.number(0.0), weight), self.at("weights", u))

    def _total(self) -> ir.Value:
        """Emit the sum of the weights in float64, in the order of the ids."""
        code, b = self.code, self.code.b
        b.store(ir.Constant(F64, 0.0), self.total)
        with code.loop(0, self.vocab) as k:
            weight = code.load(self.at("weights", k), code.real)
            b.store(b.fadd(b.load(self.total, typ=F64), b.fpext(weight, F64)), self.total)
        return b.load(self.total, typ=F64)

    def _pick(self, uniform: ir.Value) -> ir.Value:
        """Emit the first id up to which the weights add up to more than a share of their sum."""
        code, b = self.code, self.code.b
        aim = b.fmul(uniform, self._total())
        before, head, body, after = b.block, *(b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        k, passed = b.phi(I64), b.phi(F64)
        b.cbranch(b.icmp_signed("<", k, code.i(self.vocab)), body, after)
        b.position_at_end(body)
        here = b.fadd(passed, b.fpext(code.load(self.at("weights", k), code.real), F64))
        following = b.add(k, code.i(1))
        for phi, start, later in ((k, code.i(0), following), (passed, ir.Constant(F64, 0.0), here)):
            phi.add_incoming(start, before)
            phi.add_incoming(later, body)
        b.cbranch(b.fcmp_ordered(">", here, aim), after, head)
        b.position_at_end(after)
        return k


def _kept_above(step: StepCode) -> ir.Function:
    """Emit the search, from the largest weight on, for as many as a limit, or for a mass: the least of them, their sum.

    Of equal weights, all are kept or none; but the sum has no more of them than the limit.
    """
    products = step.products
    code = Code(products.module, products.machine, products.real, "kept_above", [PTR, I64, F64, PTR])
    code.private()
    weights, limit, mass, found = code.function.args
    b, row = code.b, Row(code, step.logits.width)
    before, head, body, after = b.block, *(b.append_basic_block() for _ in range(3))
    b.branch(head)
    b.position_at_end(head)
    least, count, total = b.phi(code.real), b.phi(I64), b.phi(F64)

    def below(u: ir.Value) -> ir.Value:
        weight = code.load(code.at(weights, u))
        return b.select(b.fcmp_ordered("<", weight, code.splat(least)), weight, code.number(0.0))

    following = row.reduced(0.0, below, code.maximum)
    b.cbranch(b.fcmp_ordered(">", following, ir.Constant(code.real, 0.0)), body, after)
    searched = b.block
    b.position_at_end(body)

    def equal(u: ir.Value) -> ir.Value:
        same = b.fcmp_ordered("==", code.load(code.at(weights, u)), code.splat(following))
        return b.select(same, code.number(1.0), code.number(0.0))

    equals = b.fptosi(row.reduced(0.0, equal, code.add), I64)
    room = b.sub(limit, count)
    taken = b.select(b.icmp_signed("<", equals, room), equals, room)
    more = b.add(count, taken)
    larger = b.fadd(total, b.fmul(b.sitofp(taken, F64), b.fpext(following, F64)))
    whole = b.or_(b.icmp_signed(">=", more, limit), b.fcmp_ordered(">=", larger, mass))
    counted = b.block
    b.cbranch(whole, after, head)
    infinite = ir.Constant(code.real, float("inf"))
    for phi, start, later in (
        (least, infinite, following),
        (count, code.i(0), more),
        (total, ir.Constant(F64, 0.0), larger),
    ):
        phi.add_incoming(start, before)
        phi.add_incoming(later, counted)
    b.position_at_end(after)
    at_last, sum_of_all = b.phi(code.real), b.phi(F64)
    for phi, unchanged, changed in ((at_last, least, following), (sum_of_all, total, larger)):
        phi.add_incoming(unchanged, searched)
        phi.add_incoming(changed, counted)
    b.store(b.fpext(at_last, F64), found)
    b.store(sum_of_all, code.at(found, 1, F64))
    b.ret_void()
    return code.function
