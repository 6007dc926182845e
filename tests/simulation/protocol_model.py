"""A random model of the lake's protocol: does every interleaving with crashes converge on the batch definition of the tables?

Three customers in two consent shards, three devices in two device shards, readings of two kinds in three cells. Consent is given,
withdrawn and redated; a withdrawal's file is replaced; devices change owners; landing files are replaced (ABA too), deleted,
unreadable for a while; events arrive in batches, twice, late, out of order; a process is killed at any request, or stalls for
long; a put may be carried out and its response lost; a consent shard is restored to an older content, by the command or raw.

The protocol must hold in every run. A variant leaves one step of it out, and some run must catch it: so each step is needed.

usage: protocol_model.py RUNS [VARIANT | -] [FIRST_SEED] [all]      a VARIANT stops when it is caught, unless `all` is given
       protocol_model.py list                                        prints each variant and the seed from which to search it
The exit status is 1 if the protocol is violated, or a variant is not caught.
"""
import random, sys

VARIANTS = """no_cas no_look_again no_union no_generation no_empty_entry index_late index_rewrites no_version_rule no_fence
fence_rows_only no_filter_own worker_generation worker_not_current unreadable_done unreadable_waits item_by_index early_checkpoint
shard_first delete_first forget_withdrawal curated_claims_only curated_skip_equal device_now device_no_fence
device_no_version train_inputs_first train_skip_equal raw_restore restore_no_keys receipt_now""".split()
# Caught in some 1 of 40,000 and 1 of 70,000 runs. Searched from near a seed that catches it; all others from 0.
FIRST_SEEDS = {"worker_not_current": 37_000, "item_by_index": 69_000}
if sys.argv[1:] == ["list"]: print(*(f"{variant} {FIRST_SEEDS.get(variant, 0)}" for variant in VARIANTS), sep="\n"); sys.exit()
RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
MUT = sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] != "-" else ""
FIRST = int(sys.argv[3]) if len(sys.argv) > 3 else 0
CS = {"a": 0, "b": 1, "c": 0}                                   # customer -> consent shard
DS = {"d": 0, "e": 1, "g": 0}                                   # device -> device shard
HOUR = lambda t: t // 2; ANY = object()                         # time -> cell
T0 = {"v": 0, "files": {}, "withdrawn": {}, "changed": {}}; U0 = {"v": 0, "of": None, "claims": {}, "changed": {}, "shards": {}}
D0 = {"v": 0, "claims": {}, "changed": {}}; C0 = {"files": {}, "vector": {}}
class Violation(Exception): pass
class Failed(Exception): pass                                   # the event is delivered again later
COUNT = {}
def count(what): COUNT[what] = COUNT.get(what, 0) + 1

class S3:
    def __init__(s, r):
        s.r = r; s.o = {}; s.n = 0; s.log = []; s.writes = 0; s.lose = 0.; s.down = False; s.raw = False; s.pending = lambda ev: False
        s.counter = r.random() < .5                             # an ETag is a counter, or the content itself
        s.early = r.random() < .5                               # consent is read once an event, or anew behind each base
        s.ever = r.random() < .5                                # consent policy: readings of any time, or at or after the consent
        s.lift = r.random() < .5                                # a landing raises the vector too (saves a put now and then)
        s.swap = r.random() < .5                                # the file is read before its manifest (either will do)
        s.items = r.choice([1, 1, 2, 3])                        # cells in a work item
        s.say = print; s.consented = set(); s.withdrawn = {}; s.uploaded = {}; s.old = {0: [], 1: []}
    def get(s, k, default=None):                                # (etag, value)
        if s.down and k[0] == "L": raise Failed
        n, v = s.o.get(k, (None, None)); return (n if s.counter else v), default if v is None else v
    def put(s, k, v, base=ANY):
        if base is not ANY and MUT != "no_cas" and (s.o.get(k, (None, None))[0 if s.counter else 1]) != base: count("refused " + k[0]); return False
        s.n += 1; s.o[k] = (s.n, v); s.log.append(k); s.writes += 1; s.say("  PUT", k, v); watch(s, k, v)
        return base is ANY or s.lose == 0 or s.r.random() >= s.lose   # carried out, response lost: looks refused
    def delete(s, k):
        if s.o.pop(k, None): s.writes += 1; watch(s, k, None)
    def value(s, k, default=None): return s.o.get(k, (None, default))[1]      # for the checks only
    def list(s, *p): return sorted(k for k in s.o if k[:len(p)] == p)
def cas(s3, k, v, base): ok = s3.put(k, v, base); yield; return ok

# ---- who may be shown -----------------------------------------------------------------------------------------------------
def claim(t, k):                                                # the latest record: (device, date, consents since | None)
    recs = [r for _, rs in t["files"].values() for r in rs if r[0] == k]
    if not recs: return None
    _, date, since, device = max(recs, key=lambda r: (r[1], r[2] is None, -(r[2] or 0), r[3]))
    return device, date, since if since is not None and date > t["withdrawn"].get(k, -1) else None
def device_owner(d, device):                                    # latest claim; a tie: the one not curated, then the smaller name
    c = [(date, since is None, k, since) for k, (_, x) in d["claims"].items() if x and x[0] == device for date, since in [x[1:]]]
    if not c: return None
    date, none, k, since = max(c, key=lambda x: (x[0], x[1], [-ord(i) for i in x[2]]))
    return None if none else (k, since)
def shard(src, key): return ("T", CS[key]) if src == "acc" else ("D", DS[key])
def owner(src, look, key):                                      # (customer, since) | None
    if src == "step": return device_owner(look, key)
    c = claim(look, key); return (key, c[2]) if c and c[2] is not None else None
def shown(s3, src, look, key, times):                           # rows of a table: (key, time, customer)
    o = owner(src, look, key)
    return tuple((key, t, o[0]) for t in sorted(times) if o and (s3.ever or t >= o[1]))
def container(src, cell): return ("A" if src == "acc" else "S", cell)

# ---- file manifest: a generation for every version of a landing file, and every cell any version of it ever touched ----------
def manifest(s3, src, f):
    cell = (lambda row: CS[row[0]]) if src == "cust" else (lambda row: HOUR(row[1]))
    while True:
        for what in "LP" if s3.swap else "PL":
            if what == "P": base, p = s3.get(("P", src, f)); yield
            else: etag, rows = s3.get(("L", src, f)); yield
        if rows is None: return None
        if p and p["etag"] == etag: return p, rows
        cells = {cell(row) for row in rows} | (set(p["cells"]) if p and MUT != "no_union" else set())
        new = {"g": p["g"] + 1 if p else 1, "etag": etag, "cells": tuple(sorted(cells))}
        if not (yield from cas(s3, ("P", src, f), new, base)): continue
        if p and MUT != "no_look_again":                        # back to the version of the older manifest meanwhile? no event says so
            now = s3.get(("L", src, f))[0]; yield
            if now != etag: count("seen by looking at the file again"); continue
        return new, rows

# ---- merge: customer files into consent shards ----------------------------------------------------------------------------------
def customer(s3, f):
    while True:
        m = yield from manifest(s3, "cust", f)
        if m is None: return
        p, rows = m; superseded = False
        for n in p["cells"]:
            while not superseded:
                base, t = s3.get(("T", n), T0); yield
                old = t["files"].get(f); entry = (p["g"], tuple(r for r in rows if CS[r[0]] == n))
                if old and old[0] > p["g"] and MUT != "no_generation": superseded = True; continue
                if old == entry or old is None and not entry[1] and (p["g"] == 1 or MUT == "no_empty_entry"): break
                new = {"v": t["v"] + 1, "files": dict(t["files"]), "withdrawn": dict(t["withdrawn"]), "changed": dict(t["changed"])}
                new["files"][f] = entry
                if MUT == "forget_withdrawal": new["withdrawn"] = {}
                for k, date, since, _ in (row for _, rows in new["files"].values() for row in rows):
                    if since is None: new["withdrawn"][k] = max(date, new["withdrawn"].get(k, -1))
                new["changed"].update({k: new["v"] for k in CS if claim(new, k) != claim(t, k)})
                if (yield from cas(s3, ("T", n), new, base)): break
        if not superseded: return

# ---- merge: reading files into the containers of their cells ------------------------------------------------------------------
def newest(s3, looks, sh, c, fresh):                            # consent never older than what a worker has filtered the container by
    if fresh or sh not in looks or looks[sh]["v"] < c["vector"].get(sh, 0) and MUT != "no_version_rule":
        looks[sh] = s3.get(sh, T0 if sh[0] == "T" else D0)[1]; yield
def landing(s3, src, files):
    files = sorted(set(files))
    while True:
        plan, looks = {}, {}
        for f in files:
            if m := (yield from manifest(s3, src, f)): plan[f] = m
        keys = {k: {(f, HOUR(t)) for f in plan for j, t in plan[f][1] if j == k} for f in plan for k, _ in plan[f][1]}
        if MUT != "index_late": yield from index(s3, src, keys)
        if s3.early:
            for sh in sorted({shard(src, k) for k in keys}): yield from newest(s3, looks, sh, C0, True)
        if MUT == "index_late": yield from index(s3, src, keys)
        superseded = False
        for cell in sorted({c for p, _ in plan.values() for c in p["cells"]}):
            mine = [f for f in plan if cell in plan[f][0]["cells"]]
            while not superseded:
                base, c = s3.get(container(src, cell), C0); yield
                if any(c["files"].get(f, (0,))[0] > plan[f][0]["g"] for f in mine) and MUT != "no_generation": superseded = True; continue
                here = {f: [(k, t) for k, t in plan[f][1] if HOUR(t) == cell] for f in mine}
                read = sorted({shard(src, k) for f in mine for k, _ in here[f]})
                for sh in read: yield from newest(s3, looks, sh, c, not s3.early)
                new = {"files": dict(c["files"]), "vector": dict(c["vector"])}
                for sh in read if s3.lift else (): new["vector"][sh] = looks[sh]["v"]
                for f in mine:
                    g = plan[f][0]["g"]; rows = tuple(row for k, t in here[f] for row in shown(s3, src, looks[shard(src, k)], k, [t]))
                    if not rows and f not in c["files"] and (g == 1 or MUT == "no_empty_entry"): continue
                    new["files"][f] = (g, rows)
                if new["files"] == c["files"]: break
                if (yield from cas(s3, container(src, cell), new, base)): break
        if superseded: count("superseded"); continue
        if src == "acc": yield from latest_readings(s3, {(k, t) for _, rows in plan.values() for k, t in rows})
        for f, (p, rows) in plan.items():                       # the receipt of this generation, once
            while True:
                base, was = s3.get(("receipt", src, f), (0, 0)); yield
                now = (p["g"], sum(len(s3.value(container(src, x), C0)["files"].get(f, (0, ()))[1]) for x in p["cells"]))
                if was == now or was[0] >= p["g"] and MUT != "receipt_now" or (yield from cas(s3, ("receipt", src, f), now, base)): break
        return
def index(s3, src, keys):                                       # key -> (file, cell); grows only
    for k in sorted(keys):
        while True:
            base, was = s3.get(("K", src, k), ()); yield
            if set(was) >= keys[k]: break
            keep = was if MUT != "index_rewrites" else [i for i in was if i[0] not in {f for f, _ in keys[k]}]
            if (yield from cas(s3, ("K", src, k), tuple(sorted(set(keep) | keys[k])), base)): break
def latest_readings(s3, rows):                                  # who has readings, and until when: raised only
    for n in sorted({CS[k] for k, _ in rows}):
        while True:
            base, was = s3.get(("R", n), {}); yield
            new = {**was, **{k: max([t for j, t in rows if j == k] + [was.get(k, -1)]) for k, _ in rows if CS[k] == n}}
            if new == was or (yield from cas(s3, ("R", n), new, base)): break

# ---- changes of consent, and of owners: planner and worker -----------------------------------------------------------------------
def planner(s3, src, sh):
    while True:
        if MUT == "shard_first": look = s3.get(sh)[1]; yield
        base, done = s3.get(("C", src, sh), 0); yield
        if MUT != "shard_first": look = s3.get(sh)[1]; yield
        if look is None or look["v"] == done or look["v"] < done and MUT != "shard_first": return
        if MUT == "early_checkpoint": s3.put(("C", src, sh), look["v"], base); yield
        items = []
        for key in sorted(k for k, v in look["changed"].items() if v > done):
            entries = s3.get(("K", src, key), ())[1]; yield
            work = [(c, tuple(f for f, x in entries if x == c)) for c in sorted({c for _, c in entries})]
            items += [(src, sh, look["v"], key, tuple(work[i:i + s3.items])) for i in range(0, len(work), s3.items)]
        for i, item in enumerate(items): s3.put(("W", item if MUT != "item_by_index" else (src, sh, look["v"], i)), item); yield     # named by its content
        if MUT == "early_checkpoint": return
        if (yield from cas(s3, ("C", src, sh), look["v"], base)): return
def current(s3, src, f):                                        # rows of a file, if the manifest speaks of this version
    p = s3.get(("P", src, f))[1]; yield
    etag, rows = s3.get(("L", src, f)); yield
    return p, rows if p["etag"] == etag or MUT == "worker_not_current" else None
def worker(s3, name):
    item = s3.get(name)[1]; yield
    if item is None: return
    src, sh, _, key, work = item; looks, seen = {}, {}; unread = False
    if MUT == "delete_first": s3.delete(name); yield
    if s3.early: yield from newest(s3, looks, sh, C0, True)
    for cell, files in work:
        while True:
            base, c = s3.get(container(src, cell), C0); yield
            yield from newest(s3, looks, sh, c, not s3.early)
            look = looks[sh]; new = {"files": dict(c["files"]), "vector": dict(c["vector"])}; new["vector"][sh] = look["v"]
            for f, (g, rows) in c["files"].items():             # of files that are gone, or have another version now: what may stay
                if MUT != "no_filter_own": new["files"][f] = (g, tuple(x for x in rows if x[0] != key or x in shown(s3, src, look, key, [x[1]])))
            if owner(src, look, key) or MUT == "unreadable_waits":      # else no landing file is needed
                for f in files:
                    if f not in seen or not s3.early:
                        try: seen[f] = yield from current(s3, src, f)
                        except Failed: unread = True
                        if unread and MUT == "unreadable_waits": raise Failed
                    p, rows = seen.get(f, (None, None))
                    if rows is None: continue
                    g, was = c["files"].get(f, (p["g"], ()))
                    if g > p["g"] and MUT != "worker_generation": continue
                    mine = shown(s3, src, look, key, [t for k, t in rows if k == key and HOUR(t) == cell])
                    if f in c["files"] or mine: new["files"][f] = (g, tuple(sorted([x for x in was if x[0] != key] + list(mine))))
            due = c["vector"].get(sh, 0) < look["changed"].get(key, 0)      # the consent fence: a worker that stalled behind an older consent loses
            if MUT == "no_fence" or MUT == "fence_rows_only" and not any(rows for _, rows in c["files"].values()): due = False
            if new["files"] == c["files"] and not due or (yield from cas(s3, container(src, cell), new, base)): break
    if unread and MUT != "unreadable_done": raise Failed        # the withdrawn rows are gone; the item stays until the file can be read
    s3.delete(name); yield

# ---- customer_curated, and the device lookup --------------------------------------------------------------------------------------
def curated(s3, n):
    while True:                                                 # materialize, with a version and what changed in it
        base, u = s3.get(("U", n), U0); yield
        te, t = s3.get(("T", n)); yield
        re, r = s3.get(("R", n), {}); yield
        if u["of"] == (te, re) or t is None: break
        claims = {}
        for k in CS:
            c = claim(t, k) if CS[k] == n else None
            if c: claims[k] = c[:2] + (c[2] if c[2] is not None and k in r and (s3.ever or r[k] >= c[2]) else None,)
        if MUT == "curated_claims_only": claims = {k: c for k, c in claims.items() if c[2] is not None}
        if MUT == "curated_skip_equal" and claims == u["claims"]: break
        new = {"v": u["v"] + 1, "of": (te, re), "claims": claims, "changed": dict(u["changed"]), "shards": dict(u["shards"])}
        for k in (k for k in CS if claims.get(k) != u["claims"].get(k)):
            new["changed"][k] = new["v"]
            if k in claims: new["shards"][k] = tuple(sorted(set(u["shards"].get(k, ())) | {DS[claims[k][0]]}))     # it ever named a device of
        if (yield from cas(s3, ("U", n), new, base)): break
    while True:                                                 # merge the claims that changed
        base, done = s3.get(("C", "curated", n), 0); yield
        u = s3.get(("U", n))[1]; yield
        if u is None or u["v"] <= done: return
        keys = [k for k, v in u["changed"].items() if v > done]
        shards = lambda k: u["shards"].get(k, ()) if MUT != "device_now" else [DS[u["claims"][k][0]]] if k in u["claims"] else []
        for x in sorted({x for k in keys for x in shards(k)}):
            while True:
                dbase, d = s3.get(("D", x), D0); yield
                new = {"v": d["v"] + 1, "claims": dict(d["claims"]), "changed": dict(d["changed"])}
                for k in (k for k in keys if x in shards(k)):
                    was = d["claims"].get(k, (0, None)); c = u["claims"].get(k); c = c if c and DS[c[0]] == x else None
                    if was[0] > u["v"] and MUT != "device_no_version": continue
                    if was[0] < u["changed"][k] and MUT != "device_no_fence" or was[1] != c: new["claims"][k] = (u["v"], c)
                if new["claims"] == d["claims"]: break
                new["changed"].update({g: new["v"] for g in DS if device_owner(new, g) != device_owner(d, g)})
                if (yield from cas(s3, ("D", x), new, dbase)): break
        if (yield from cas(s3, ("C", "curated", n), u["v"], base)): return

# ---- the training table: materialized ---------------------------------------------------------------------------------------------
def pairs(a, s):
    steps = sorted({row for _, rows in s["files"].values() for row in rows}); motions = sorted({row for _, rows in a["files"].values() for row in rows})
    return tuple((t, d, who, k) for d, t, who in steps for k, u, _ in motions if u == t)
def train(s3, cell):
    got = {}
    while True:
        for k in "MAS" if MUT != "train_inputs_first" else "ASM": got[k] = s3.get((k, cell)); yield
        (base, m), (ae, a), (se, s) = got["M"], got["A"], got["S"]
        if a is None or s is None or m and m["of"] == (ae, se): return      # containers are never deleted: no other event sees both
        rows = pairs(a, s)
        if MUT == "train_skip_equal" and rows == (m["rows"] if m else ()): return
        if (yield from cas(s3, ("M", cell), {"of": (ae, se), "rows": rows}, base)): return

# ---- checks at every moment --------------------------------------------------------------------------------------------------------
def watch(s3, k, v):
    if k[0] == "T" and v:
        s3.old[k[1]].append(v)
        for c, date in v["withdrawn"].items(): s3.withdrawn[c] = max(date, s3.withdrawn.get(c, -1))
    if k[0] in "AS":
        if any(row[2] not in s3.consented for _, rows in v["files"].values() for row in rows): raise Violation("2 never consented")
        reappears(s3, "acc" if k[0] == "A" else "step", [k])
    if k[0] == "M":
        now = set(pairs(s3.value(("A", k[1])), s3.value(("S", k[1]))))
        if not set(v["rows"]) <= now and not s3.pending(("train", k[1])): raise Violation("3 reappears in training")
    if k[0] == "U" and v["of"] != (s3.get(("T", k[1]))[0], s3.get(("R", k[1]))[0]) and not s3.pending(("curated", k[1])) and not s3.raw: raise Violation("3 curated is left behind")
    if k[0] == "W" and v is None or k[0] == "C" and k[1] != "curated":
        src = k[1][0] if k[0] == "W" else k[1]
        reappears(s3, src, s3.list("A" if src == "acc" else "S"))
    if k[0] == "D" or k[0] == "C" and k[1] == "curated":
        for n in (0, 1):
            u, done = s3.value(("U", n), U0), s3.value(("C", "curated", n), 0)
            for c, x in ((c, x) for c, at in u["changed"].items() for x in (0, 1) if at <= done):
                want = u["claims"].get(c); want = want if want and DS[want[0]] == x else None
                if s3.value(("D", x), D0)["claims"].get(c, (0, None))[1] != want: raise Violation("3 device claim")
def reappears(s3, src, names):                                  # a row that may not be shown, although its work items are done
    if s3.raw: return
    for key, t, who in (row for n in names for _, rows in s3.value(n)["files"].values() for row in rows):
        sh = shard(src, key); look = s3.value(sh, T0 if src == "acc" else D0)
        if shown(s3, src, look, key, [t]) == ((key, t, who),) or s3.value(("C", src, sh), 0) < look["changed"].get(key, 0): continue
        if not any(w[1][0] == src and s3.value(w)[3] == key for w in s3.list("W")): raise Violation("3 reappears in " + src)

# ---- check at rest: the batch definition over the landing files ----------------------------------------------------------------------
def check(s3, restored):
    recs = {"files": {}, "withdrawn": {}, "changed": {}}; files = {k[2] for k in s3.list("L", "cust")}
    for n in (0, 1):
        t = s3.value(("T", n), T0); recs["withdrawn"].update(t["withdrawn"])
        for f, (g, rows) in t["files"].items():
            if f not in files: recs["files"][f, n] = (g, rows)  # gone: what was read of it counts
    for f in files:
        recs["files"][f] = (0, s3.value(("L", "cust", f)))
        for k, date, since, _ in s3.value(("L", "cust", f)):
            if since is None and recs["withdrawn"].get(k, -1) < date: return "1 withdrawal not seen"
    if not restored and any(recs["withdrawn"].get(k, -1) < date for k, date in s3.withdrawn.items()): return "1 withdrawal forgotten"
    d = {"claims": {}}
    for k in CS:
        c = claim(recs, k)
        if claim(s3.value(("T", CS[k]), T0), k) != c: return "1 trusted"
        read = s3.value(("R", CS[k]), {}).get(k); uploaded = {t for (src, f), vs in s3.uploaded.items() if src == "acc" for v in vs for j, t in v if j == k}
        if {read} - uploaded - {None} or any(read is None or t > read for f in s3.list("L", "acc") for j, t in s3.value(f) if j == k): return "1 latest readings"
        curated = c and c[2] is not None and read is not None and (s3.ever or read >= c[2])
        want = c and c[:2] + (c[2] if curated else None,)
        if s3.value(("U", CS[k]), U0)["claims"].get(k) != want: return "1 curated"
        d["claims"][k] = (0, want)
    for src in ("acc", "step"):
        look = recs if src == "acc" else d; gone = {f for s, f in s3.uploaded if s == src and ("L", src, f) not in s3.o}
        for cell in (0, 1, 2):
            have = [(f,) + row for f, (_, rows) in s3.value(container(src, cell), C0)["files"].items() for row in rows]
            want = [(f,) + row for _, _, f in s3.list("L", src) for k, t in s3.value(("L", src, f)) if HOUR(t) == cell for row in shown(s3, src, look, k, [t])]
            if sorted(i for i in have if i[0] not in gone) != sorted(want) or len(set(have)) != len(have): return "1 rows of " + src
            for f, k, t, who in (i for i in have if i[0] in gone):          # a file that is gone: nothing that may not be shown
                if not any((k, t) in v for v in s3.uploaded[src, f]) or ((k, t, who),) != shown(s3, src, look, k, [t]): return "1 rows of a file that is gone"
    for cell in (0, 1, 2):
        if s3.value(("M", cell), {"rows": ()})["rows"] != pairs(s3.value(("A", cell), C0), s3.value(("S", cell), C0)): return "1 training"
    if s3.list("W"): return "5 work items left"
    for k in s3.list("C"):
        if s3.value(k) != s3.value(k[2] if k[1] != "curated" else ("U", k[2]))["v"]: return "5 checkpoint"
def stopped(s3):                                                # the landing bucket cannot be read: are the withdrawn rows gone all the same?
    for _, t, who in (row for n in s3.list("A") + s3.list("S") for _, rows in s3.value(n)["files"].values() for row in rows):
        c = claim(s3.value(("T", CS[who]), T0), who)
        if not c or c[2] is None or not (s3.ever or t >= c[2]): return "7 a withdrawal waits for the landing bucket"

# ---- one run ----------------------------------------------------------------------------------------------------------------------
def triggers(k):
    if k[0] == "L": return [("customer", k[2])] if k[1] == "cust" else [("landing", k[1], k[2])]
    if k[0] == "T": return [("planner", "acc", k), ("curated", k[1])]
    if k[0] in "AS": return [("train", k[1])]
    return {"R": [("curated", k[1])], "D": [("planner", "step", k)], "W": [("worker", k)]}.get(k[0], [])
def start(s3, evs):
    ev = evs[0]
    if ev[0] == "landing": return landing(s3, ev[1], [e[2] for e in evs])
    return {"customer": customer, "planner": planner, "worker": worker, "curated": curated, "train": train}[ev[0]](s3, *ev[1:])

def draw(r):
    keys = r.choice(["a", "ab", "ac", "abc"]); devices = r.choice(["d", "de", "dg", "deg"]); inputs = []
    record = lambda k: (k, r.randrange(5), r.choice([None, 0, 0, 0, 3]), r.choice(devices))
    readings = lambda ks: tuple(sorted({(r.choice(ks), r.randrange(6)) for _ in range(r.choice([0, 1, 1, 2, 3]))}))
    for i in range(r.randrange(2, 8)): inputs.append(("L", ("L", "cust", r.choice("pq")), tuple(record(k) for k in keys if r.random() < .8)))
    for src, ks, names in (("acc", keys, "fh"), ("step", devices, "xy")):
        for i in range(r.randrange(1, 5)): inputs.append(("L", ("L", src, r.choice(names)), readings(ks)))
    if r.random() < .25:                                        # little else than one file and one consent, to and fro
        two = r.choice([(readings("a"), readings("a")), ((("a", 0),), (("a", 1),))]); upload = lambda i: ("L", ("L", "acc", "f"), two[i])
        groups = [[upload(1), upload(0)] for _ in range(r.randrange(1, 4))] + [[("L", ("L", "cust", "p"), (("a", i, r.choice([None, 0, 0]), "d"),))] for i in range(r.randrange(2, 5))]
        r.shuffle(groups); inputs = [upload(0)] + [i for group in groups for i in group]
        return inputs[::-1]
    r.shuffle(inputs)
    if r.random() < .25:                                        # one file goes to and fro between two contents
        src, ks, f = r.choice([("acc", keys, "f"), ("step", devices, "x")]); two = readings(ks), readings(ks)
        for i in range(r.randrange(2, 6)): inputs.insert(r.randrange(len(inputs) + 1), ("L", ("L", src, f), two[i % 2]))
    for i in range(len(inputs)):                                # a content may come back, and with it its ETag
        again = [v for what, k, v in inputs[:i] if k == inputs[i][1] and what == "L"]
        if again and r.random() < .3: inputs[i] = inputs[i][:2] + (r.choice(again),)
        elif r.random() < .06: inputs[i] = ("delete", inputs[i][1], None)
    if r.random() < .2:                                         # a consent shard is put back; then its files are uploaded again
        n = r.randrange(2); at = sorted(r.randrange(len(inputs) // 3, len(inputs) + 1) for _ in range(3)); raw = r.random() < .5 or MUT == "raw_restore"
        inputs.insert(at[2], ("again", n, None))
        if MUT != "raw_restore": inputs.insert(at[1], ("restore", n, raw))
        if raw: inputs.insert(at[0], ("raw", n, None))
    return inputs[::-1]
def restore(s3, n, after_raw):                                  # the command: an older content goes on as a new version, with every key changed
    now = s3.value(("T", n))
    if not now: s3.raw = False; return
    old = now if after_raw else s3.r.choice(s3.old[n]); v = max(old["v"], now["v"]) + 1000
    keys = [k for k in CS if CS[k] == n and (claim(old, k) != claim(now, k) or MUT != "restore_no_keys")]
    both = {k: max(x["withdrawn"].get(k, -1) for x in (old, now)) for k in {**old["withdrawn"], **now["withdrawn"]}}
    new = dict(old, v=v, changed={**old["changed"], **{k: v for k in keys}}, withdrawn=both)
    s3.raw = False; s3.put(("T", n), new)
def run(seed, trace=False):
    r = random.Random(seed); s3 = S3(r); inputs = draw(r); queue, procs, events = [], [], set(); restored = any(i[0] == "raw" for i in inputs)
    crashes = r.choice([0, 2, 6, 12]); seen = steps = 0; s3.lose = r.choice([0, 0, .05])
    p_in = r.choice([.02, .1, .3]); p_event = p_in + r.choice([.05, .2, .5]); p_crash = r.choice([.02, .1, .3])
    stalls = r.random() < .7; p_stall = r.choice([.02, .08, .2]); batch = r.choice([1, 1, 3]); rest = r.random() < .2; outage = r.random() < .2
    say = print if trace else (lambda *a: None)
    s3.say = say; s3.pending = lambda ev: s3.down or ev in queue or sum(ev in evs for evs, _, _ in procs) > 1
    def deliver():
        nonlocal seen
        while seen < len(s3.log):
            for ev in triggers(s3.log[seen]): queue.append(ev); events.add(ev)
            seen += 1
    try:
        while inputs or queue or procs:
            if (steps := steps + 1) > 60000: return "endless"
            x = r.random(); idle = not queue and not procs
            if inputs and (idle or x < p_in and not (rest and not s3.raw and inputs[-1][0] == "L")):
                if idle and not s3.raw and not any(i[0] == "again" for i in inputs) and (v := check(s3, restored)): return v
                what, k, v = inputs.pop(); say("INPUT", what, k, v)
                if what == "L":
                    if k[1] == "cust": s3.consented |= {c[0] for c in v if c[2] is not None}
                    s3.uploaded.setdefault(k[1:], []).append(v); s3.put(k, v)
                elif what == "delete": s3.delete(k)
                elif what == "raw" and s3.old[k]: s3.raw = True; s3.put(("T", k), r.choice(s3.old[k]))
                elif what == "restore" and s3.old[k]: restore(s3, k, v)
                elif what == "again":
                    for f in s3.list("L", "cust"): s3.put(f, s3.value(f))
            elif queue and x < p_event or not procs:
                evs = [queue.pop(r.randrange(len(queue)))]
                if evs[0][0] == "landing":
                    for e in [e for e in queue if e[:2] == evs[0][:2]][:r.randrange(batch)]: queue.remove(e); evs.append(e)
                if r.random() < .1: queue.append(evs[0])        # delivered once more
                procs.append((evs, start(s3, evs), r.random())); say("START", len(procs), evs)
            else:
                i = max(range(len(procs)), key=lambda j: procs[j][2]) if stalls else r.randrange(len(procs))     # by priority: some stall for long
                evs, p, rank = procs[i]
                if stalls and r.random() < p_stall: procs[i] = (evs, p, rank - 1 - r.random()); continue
                if crashes and r.random() < (.3 if stalls and rank < 0 else p_crash):
                    crashes -= 1; procs.pop(i); queue += evs; count("killed " + evs[0][0]); say("KILL", evs); continue
                try: next(p)
                except StopIteration: procs.pop(i); say("END", evs)
                except Failed: procs.pop(i); queue += evs; say("FAIL", evs)
            deliver()
            if outage and not s3.raw and r.random() < .01:      # the landing bucket cannot be read: whatever else can be done is done
                outage = False; s3.down = True; count("outage"); say("OUTAGE")
                todo, procs[:], tried = [(evs, p) for evs, p, _ in procs], [], False
                while True:
                    writes = s3.writes
                    for evs, p in todo:
                        try:
                            for _ in p: pass
                        except Failed: queue += evs
                        deliver()
                    if tried and writes == s3.writes: break
                    todo, queue[:], tried = [([ev], start(s3, [ev])) for ev in queue], [], True
                if v := stopped(s3): return v
                s3.down = False; say("OUTAGE ENDS")
        if v := check(s3, restored): return v
        s3.lose = 0; writes = s3.writes
        for ev in sorted(events, key=str):                      # every event once more writes nothing
            for _ in start(s3, [ev]): pass
            if s3.writes != writes: say("AGAIN", s3.log[-1]); return "5 redelivery of " + ev[0]
    except Violation as e: return str(e)
if __name__ == "__main__":
    bad = {}; assert not MUT or MUT in VARIANTS, f"expected one of {' '.join(VARIANTS)}"
    for seed in range(FIRST, FIRST + RUNS):
        v = run(seed)
        if v: bad.setdefault(v, []).append(seed)
        if v and MUT and "all" not in sys.argv: print(f"{MUT:22} caught in run {seed - FIRST + 1:,} from seed {FIRST:,} as {v}", flush=True); break
    else:
        print(*(f"{n:12,} {what}\n" for what, n in sorted(COUNT.items()) if not MUT), sep="", end="")
        print(MUT or "protocol", {k: (len(v), v[0]) for k, v in bad.items()} or "no violation", "in", RUNS, "runs from seed", FIRST, flush=True)
    sys.exit(bool(bad) != bool(MUT))
