"""The steps of the lake's protocol, as generators: each `yield` is behind one request, where a process may stall or be killed.

The keys of objects are tuples: ("L", source, file) a landing file, ("P", source, file) its manifest, ("K", source, key) the key index,
("T", n), ("U", n), ("D", n) the consent shards, ("H", "T", n) the high-water mark of one, ("A", cell) and ("S", cell) containers,
("R", n) latest readings, ("M", cell) training rows, ("C", ...) checkpoints, ("W", item) work items, ("receipt", source, file).
Where `MUT` names a variant, a step is left out. `protocol_model.py` runs this.
"""
MUT = ""
CS = {"a": 0, "b": 1, "c": 0}                                   # customer -> consent shard
DS = {"d": 0, "e": 1, "g": 0}                                   # device -> device shard
HOUR = lambda t: t // 2; ANY = object()                         # time -> cell
T0 = {"v": 0, "files": {}, "withdrawn": {}, "changed": {}}; U0 = {"v": 0, "of": None, "tv": 0, "claims": {}, "changed": {}, "shards": {}}
D0 = {"v": 0, "claims": {}, "changed": {}}; C0 = {"files": {}, "vector": {}}; H0 = {"v": 0, "base": 0, "keys": {}, "keep": {}}
ZERO = {"T": T0, "U": U0, "D": D0}; JUMP = 1000                 # by which a restored shard's version goes beyond all that are known
KEYS = lambda k: [c for c in CS if CS[c] == k[1]] if k[0] != "D" else [d for d in DS if DS[d] == k[1]]
class Failed(Exception): pass                                   # the event is delivered again later
COUNT = {}
def count(what): COUNT[what] = COUNT.get(what, 0) + 1

class S3:
    def __init__(s, r):
        s.r = r; s.o = {}; s.n = 0; s.log = []; s.writes = 0; s.lose = 0.; s.down = False; s.say = print; s.send = lambda evs: None
        s.counter = r.random() < .5                             # an ETag is a counter, or the content itself
        s.early = r.random() < .5                               # consent is read once an event, or anew behind each base
        s.ever = r.random() < .5                                # consent policy: readings of any time, or at or after the consent
        s.lift = r.random() < .5                                # a landing raises the vector too (saves a put now and then)
        s.swap = r.random() < .5                                # the file is read before its manifest (either will do)
        s.items = r.choice([1, 1, 2, 3]); s.shared = r.random() < .5    # (cell, key) pairs in a work item; of one key, or of several
    def watch(s, k, v, was): pass                               # what must hold after every write
    def alarm(s, k, x, high, known): count("restored " + k[0]); s.say("  ALARM", k, x["v"], high, known)
    def get(s, k, default=None):                                # (etag, value)
        if s.down and k[0] == "L": raise Failed
        n, v = s.o.get(k, (None, None)); return (n if s.counter else v), default if v is None else v
    def put(s, k, v, base=ANY):                                 # (etag,), or false: refused
        n, was = s.o.get(k, (None, None))
        if base is not ANY and MUT != "no_cas" and (n if s.counter else was) != base: count("refused " + k[0]); return None
        s.n += 1; s.o[k] = (s.n, v); s.log.append(k); s.writes += 1; s.say("  PUT", k, v); s.watch(k, v, was)
        if base is ANY or s.lose == 0 or s.r.random() >= s.lose: return (s.n if s.counter else v,)
        return None                                             # carried out, and the response lost: it looks refused
    def delete(s, k):
        _, was = s.o.pop(k, (None, None))
        if was is not None: s.writes += 1; s.say("  DELETE", k); s.watch(k, None, was)
    def value(s, k, default=None): return s.o.get(k, (None, default))[1]      # for the checks only
    def list(s, *p): return sorted((k for k in s.o if k[:len(p)] == p), key=str)
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
def manifest(s3, src, f, above=0):                              # above: the generation of an entry that was found
    cell = (lambda row: CS[row[0]]) if src == "cust" else (lambda row: HOUR(row[1]))
    while True:
        for what in "LP" if s3.swap else "PL":
            if what == "P": base, p = s3.get(("P", src, f)); yield
            else: etag, rows = s3.get(("L", src, f)); yield
        if rows is None: return p and MUT != "gone_done" and (p, None)     # gone: entries of older generations are emptied
        if p and p["etag"] == etag and (p["g"] >= above or MUT == "manifest_below"): return p, rows
        cells = {cell(row) for row in rows} | (set(p["cells"]) if p and MUT != "no_union" else set())
        new = {"g": max(p["g"] if p else 0, above) + 1, "etag": etag, "cells": tuple(sorted(cells))}
        if not (yield from cas(s3, ("P", src, f), new, base)): continue
        if p and MUT != "no_look_again":                        # back to the version of the older manifest meanwhile? no event says so
            now = s3.get(("L", src, f))[0]; yield
            if now != etag: count("seen by looking at the file again"); continue
        return new, rows

# ---- consent shards (T, U, D): each has a high-water mark H, which is put before the shard and confirmed behind it ----------------
# H.v: the highest version that may have been put. H.base: a version that certainly was. H.keys: what the versions above the base change.
# H.keep: what only grows (withdrawn dates of T, named device shards of U), so that it outlives a shard that is put back.
def read(s3, k):                                                # in this order: a shard below the base that was read before it was put back
    at = {}
    for what in (("H", *k), k) if MUT != "high_water_read_late" else (k, ("H", *k)): at[what] = s3.get(what, H0 if what != k else ZERO[k[0]]); yield
    return at["H", *k] + at[k]
def settled(s3, k, at, known=0):                                # nothing to change: does the shard agree with its high-water mark?
    hb, h, _, x = at
    if MUT == "no_high_water": return True
    if x["v"] < max(h["base"], known): return MUT == "idle_no_restore"
    if x["v"] < h["v"]: return MUT == "idle_no_flush"           # a put that failed, or was put back before it was confirmed: a new version
    if x["v"] == h["base"] or MUT == "no_confirm": return True
    return bool((yield from cas(s3, ("H", *k), {"v": x["v"], "base": x["v"], "keys": {}, "keep": h["keep"]}, hb)))
def commit(s3, k, at, new, keys, known=0):                      # False: from the start
    hb, h, base, x = at; restore = x["v"] < max(h["base"], known) and MUT != "no_restore"
    if MUT == "no_high_water": return (yield from cas(s3, k, dict(new, v=x["v"] + 1, changed={**x["changed"], **{c: x["v"] + 1 for c in keys}}), base))
    if restore: s3.alarm(k, x, h, known)
    v = max(x["v"], h["v"] if MUT != "version_reused" else 0, known) + (JUMP if restore else 1)
    if restore and MUT != "restore_no_keys": keys = KEYS(k)
    elif x["v"] < h["v"] and MUT != "unconfirmed_no_keys": keys = {*keys, *h["keys"]}
    new = dict(new, v=v, changed={**x["changed"], **{c: v for c in keys}}); keep = new.get("withdrawn", new.get("shards", {}))
    high = {"v": v, "base": max(h["base"], x["v"]), "keys": dict.fromkeys(sorted(keys)), "keep": keep}
    if MUT != "high_water_late":
        hb = yield from cas(s3, ("H", *k), high, hb if MUT != "high_water_no_cas" else ANY)
        if not hb: return False
        hb = hb[0]
    if not (yield from cas(s3, k, new, base)): return False
    return MUT == "no_confirm" or (yield from cas(s3, ("H", *k), {"v": v, "base": v, "keys": {}, "keep": keep}, hb))
def check_item(s3, k, known): yield s3.put(("W", ("check", k, known)), ("check", k, known))      # for the function that writes the shard
def checked(s3, k, known=0):                                    # known: a version that certainly was, by a checkpoint or a vector
    if k[0] == "U": yield from curated(s3, k[1], known); return
    if k[0] == "D": yield from devices(s3, k[1], None, (), None, known); return
    while True:
        at = yield from read(s3, k)
        if (yield from settled(s3, k, at, known)): return
        if (yield from commit(s3, k, at, dict(at[3], withdrawn=maxima(at)), (), known)): return
def maxima(at):                                                 # a withdrawal is in the high-water mark before it is in the shard, and stays there
    a, b = at[3]["withdrawn"], at[1]["keep"] if MUT != "restore_forgets" else {}
    return {k: max(a.get(k, -1), b.get(k, -1)) for k in {**a, **b}}

# ---- merge: customer files into consent shards ----------------------------------------------------------------------------------
def customer(s3, f):
    above = 0
    while True:
        m = yield from manifest(s3, "cust", f, above)
        if not m: return
        p, rows = m; superseded = False
        for n in p["cells"]:
            while not superseded:
                at = yield from read(s3, ("T", n)); t = at[3]
                old = t["files"].get(f); entry = (p["g"], tuple(r for r in rows or () if CS[r[0]] == n))
                if old and old[0] > p["g"] and rows is not None and MUT != "no_generation": superseded = True; above = old[0]; continue
                if rows is None and (p["g"] == 1 or old and old[0] >= p["g"]): entry = old
                if old == entry or old is None and not entry[1] and (p["g"] == 1 or MUT == "no_empty_entry" or MUT == "gone_no_fence" and rows is None):
                    if (yield from settled(s3, ("T", n), at)): break
                    entry = old
                new = {"files": dict(t["files"]), "withdrawn": maxima(at)}
                if entry: new["files"][f] = entry
                if MUT == "forget_withdrawal": new["withdrawn"] = {}
                for k, date, since, _ in (row for _, rows in new["files"].values() for row in rows):
                    if since is None: new["withdrawn"][k] = max(date, new["withdrawn"].get(k, -1))
                if (yield from commit(s3, ("T", n), at, new, [k for k in CS if claim(new, k) != claim(t, k)])): break
        if not superseded: return

# ---- merge: reading files into the containers of their cells ------------------------------------------------------------------
def newest(s3, looks, sh, c, fresh, least=0):                   # consent never older than what a worker has filtered the container by
    least = max(least, c["vector"].get(sh, 0))
    if fresh or sh not in looks or looks[sh]["v"] < least and MUT != "no_version_rule":
        looks[sh] = s3.get(sh, ZERO[sh[0]])[1]; yield
        if looks[sh]["v"] < least and MUT not in ("below_goes_on", "no_high_water"):       # the shard was put back: it is restored before anything is decided by it
            yield from check_item(s3, sh, least); raise Failed
def landing(s3, src, files):
    files = sorted(set(files)); above = {}
    while True:
        plan, looks = {}, {}
        for f in files:
            if m := (yield from manifest(s3, src, f, above.get(f, 0))): plan[f] = m
        gone = {f for f, (_, rows) in plan.items() if rows is None}; plan.update({f: (plan[f][0], ()) for f in gone})
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
                later = {f: c["files"][f][0] for f in mine if f in c["files"] and f not in gone and c["files"][f][0] > plan[f][0]["g"]}
                if later and MUT != "no_generation": superseded = True; above.update(later); continue
                here = {f: [(k, t) for k, t in plan[f][1] if HOUR(t) == cell] for f in mine}
                shards = sorted({shard(src, k) for f in mine for k, _ in here[f]})
                for sh in shards: yield from newest(s3, looks, sh, c, not s3.early)
                new = {"files": dict(c["files"]), "vector": dict(c["vector"])}
                for sh in shards if s3.lift else (): new["vector"][sh] = looks[sh]["v"]
                for f in mine:
                    g = plan[f][0]["g"]; rows = tuple(row for k, t in here[f] for row in shown(s3, src, looks[shard(src, k)], k, [t]))
                    if f in gone and c["files"].get(f, (0,))[0] >= g: continue
                    if not rows and f not in c["files"] and (g == 1 or MUT == "no_empty_entry" or MUT == "gone_no_fence" and f in gone): continue
                    new["files"][f] = (g, rows)
                if new["files"] == c["files"]: break
                if (yield from cas(s3, container(src, cell), new, base)): break
        if superseded: count("superseded"); continue
        if src == "acc": yield from latest_readings(s3, {(k, t) for _, rows in plan.values() for k, t in rows})
        for f, (p, rows) in ((f, plan[f]) for f in plan if f not in gone):      # the receipt of this generation, once
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
        look = look or ZERO[sh[0]]
        if look["v"] < done and MUT not in ("shard_first", "planner_no_check"): yield from check_item(s3, sh, done)
        if look["v"] <= done and (look["v"] == done or MUT != "shard_first"): return
        if MUT == "early_checkpoint": s3.put(("C", src, sh), look["v"], base); yield
        items = []
        for key in sorted(k for k, v in look["changed"].items() if v > done):
            entries = s3.get(("K", src, key), ())[1]; yield
            items += [(c, key, tuple(f for f, x in entries if x == c)) for c in sorted({c for _, c in entries})]
        if s3.shared: items.sort()                              # keys that share a cell share an item
        items = [(src, sh, look["v"], tuple(items[i:i + s3.items])) for i in range(0, len(items), s3.items)]
        for i, item in enumerate(items): s3.put(("W", item if MUT != "item_by_index" else (src, sh, look["v"], i)), item); yield     # named by its content
        if MUT == "early_checkpoint": return
        if (yield from cas(s3, ("C", src, sh), look["v"], base)): return
def current(s3, src, f):                                        # rows of a file, if the manifest speaks of this version
    p = s3.get(("P", src, f))[1]; yield
    etag, rows = s3.get(("L", src, f)); yield
    return p, rows if p and (p["etag"] == etag or MUT == "worker_not_current") else None
def worker(s3, name):
    item = s3.get(name)[1]; yield
    if item is None: return
    if item[0] == "check":
        yield from checked(s3, *item[1:]); s3.delete(name); yield
        return
    src, sh, least, work = item[:4]; looks, seen = {}, {}; unread = False
    if MUT == "worker_below": least = 0                         # else never by a shard that is older than the one that was planned
    if MUT == "delete_first": s3.delete(name); yield
    if s3.early: yield from newest(s3, looks, sh, C0, True, least)
    for cell in sorted({cell for cell, _, _ in work}):
        keys = {key: files for x, key, files in work if x == cell}
        while True:
            base, c = s3.get(container(src, cell), C0); yield
            yield from newest(s3, looks, sh, c, not s3.early, least)
            look = looks[sh]; new = {"files": dict(c["files"]), "vector": dict(c["vector"])}; new["vector"][sh] = look["v"]
            for f, (g, rows) in c["files"].items():             # of files that are gone, or have another version now: what may stay
                if MUT != "no_filter_own": new["files"][f] = (g, tuple(x for x in rows if x[0] not in keys or x in shown(s3, src, look, x[0], [x[1]])))
            for key, files in keys.items():
                for f in files if owner(src, look, key) or MUT == "unreadable_waits" else ():       # else no landing file is needed
                    if f not in seen or not s3.early:
                        try: seen[f] = yield from current(s3, src, f)
                        except Failed: unread = True
                        if unread and MUT == "unreadable_waits": raise Failed
                    p, rows = seen.get(f, (None, None))
                    if rows is None: continue
                    g, was = new["files"].get(f, (p["g"], ()))
                    if g > p["g"] and MUT != "worker_generation": continue
                    mine = shown(s3, src, look, key, [t for k, t in rows if k == key and HOUR(t) == cell])
                    if f in c["files"] or mine: new["files"][f] = (g, tuple(sorted([x for x in was if x[0] != key] + list(mine))))
            due = any(c["vector"].get(sh, 0) < look["changed"].get(key, 0) for key in keys)      # the consent fence: a worker that stalled behind an older consent loses
            if MUT == "no_fence" or MUT == "fence_rows_only" and not any(rows for _, rows in c["files"].values()): due = False
            if new["files"] == c["files"] and not due or (yield from cas(s3, container(src, cell), new, base)): break
    if unread and MUT != "unreadable_done": raise Failed        # the withdrawn rows are gone; the item stays until the file can be read
    s3.delete(name); yield

# ---- customer_curated, and the device lookup --------------------------------------------------------------------------------------
def curated(s3, n, known=0):
    while True:                                                 # materialize, with a version and what changed in it
        at = yield from read(s3, ("U", n)); u = at[3]
        te, t = s3.get(("T", n), T0); yield
        re, r = s3.get(("R", n), {}); yield
        if t["v"] < u["tv"] and MUT != "curated_no_check": yield from check_item(s3, ("T", n), u["tv"]); return
        if te is None and u["tv"] == 0: break
        if u["of"] == (te, re) and (yield from settled(s3, ("U", n), at, known)): break
        claims = {}
        for k in CS:
            c = claim(t, k) if CS[k] == n else None
            if c: claims[k] = c[:2] + (c[2] if c[2] is not None and k in r and (s3.ever or r[k] >= c[2]) else None,)
        if MUT == "curated_claims_only": claims = {k: c for k, c in claims.items() if c[2] is not None}
        if MUT == "curated_skip_equal" and claims == u["claims"] and (yield from settled(s3, ("U", n), at, known)): break
        keep = at[1]["keep"] if MUT != "restore_no_shards" else {}
        new = {"of": (te, re), "tv": t["v"], "claims": claims, "shards": {k: tuple(sorted({*u["shards"].get(k, ()), *keep.get(k, ())})) for k in {**u["shards"], **keep}}}
        for k in claims: new["shards"][k] = tuple(sorted({*new["shards"].get(k, ()), DS[claims[k][0]]}))      # it ever named a device of
        if (yield from commit(s3, ("U", n), at, new, [k for k in CS if claims.get(k) != u["claims"].get(k)], known)): break
    while True:                                                 # merge the claims that changed
        base, done = s3.get(("C", "curated", n), 0); yield
        u = s3.get(("U", n), U0)[1]; yield
        if u["v"] < done and MUT != "no_high_water": return (yield from curated(s3, n, done))
        if u["v"] <= done: return
        keys = [k for k, v in u["changed"].items() if v > done]
        for x in sorted({x for k in keys for x in named(u, k)}): yield from devices(s3, x, n, keys, u)
        if (yield from cas(s3, ("C", "curated", n), u["v"], base)): return
def named(u, k): return u["shards"].get(k, ()) if MUT != "device_now" else [DS[u["claims"][k][0]]] if k in u["claims"] else []
def devices(s3, x, n, keys, u, known=0):                        # a device shard: the changed claims of U(n); of all U, if it was put back
    while True:
        at = yield from read(s3, ("D", x)); _, h, _, d = at; us = {n: u} if u else {}
        new = {"claims": dict(d["claims"])}; restore = d["v"] < max(h["base"], known) and MUT not in ("no_high_water", "restore_no_claims")
        for m in (0, 1) if restore else (): us[m] = s3.get(("U", m), U0)[1]; yield
        for m, u_m in us.items():
            for k in [k for k in (u_m["shards"] if restore else keys) if x in named(u_m, k)]:
                was = new["claims"].get(k, (0, None)); c = u_m["claims"].get(k); c = c if c and DS[c[0]] == x else None
                if was[0] > u_m["v"] and MUT != "device_no_version": continue
                if was[0] < u_m["changed"].get(k, 0) and MUT != "device_no_fence" or was[1] != c: new["claims"][k] = (u_m["v"], c)
        if new["claims"] == d["claims"] and (yield from settled(s3, ("D", x), at, known)): return
        if (yield from commit(s3, ("D", x), at, new, [g for g in DS if device_owner(new, g) != device_owner(d, g)], known)): return

# ---- the training table: materialized ---------------------------------------------------------------------------------------------
def pairs(a, s):
    steps = sorted({row for _, rows in s["files"].values() for row in rows}); motions = sorted({row for _, rows in a["files"].values() for row in rows})
    return tuple((t, d, who, k) for d, t, who in steps for k, u, _ in motions if u == t)
def train(s3, cell):
    got = {}
    while True:
        for k in "MAS" if MUT != "train_inputs_first" else "ASM": got[k] = s3.get((k, cell)); yield
        (base, m), (ae, a), (se, s) = got["M"], got["A"], got["S"]
        if (a is None or s is None) and (m is None or MUT == "train_absent") or m and m["of"] == (ae, se): return     # M without one of them: that was removed
        rows = pairs(a or C0, s or C0)
        if MUT == "train_skip_equal" and rows == (m["rows"] if m else ()): return
        if (yield from cas(s3, ("M", cell), {"of": (ae, se), "rows": rows}, base)): return

# ---- reconcile: mends what was put back or lost, then looks at everything again ----------------------------------------------------
def reconcile(s3):
    for k in s3.list("H") if MUT != "reconcile_no_shards" else (): yield from checked(s3, k[1:])
    for k in s3.list("T") + s3.list("A") + s3.list("S"):
        src = {"T": "cust", "A": "acc", "S": "step"}[k[0]]; c = s3.get(k, C0)[1]; yield
        for f, (g, _) in c["files"].items() if MUT != "reconcile_no_manifests" else ():     # manifests name the cell of each entry, and its generation
            while True:
                base, p = s3.get(("P", src, f), {"g": 0, "etag": None, "cells": ()}); yield
                if p["g"] >= g and k[1] in p["cells"]: break
                if (yield from cas(s3, ("P", src, f), {"g": max(g, p["g"]), "etag": None, "cells": tuple(sorted({*p["cells"], k[1]}))}, base)): break
        if src == "cust": continue
        rows = [(f, *row) for f, (_, rows) in c["files"].items() for row in rows]; keys = sorted({x[1] for x in rows})
        if MUT != "reconcile_no_index": yield from index(s3, src, {key: {(x[0], k[1]) for x in rows if x[1] == key} for key in keys})
        for key in keys if MUT != "reconcile_no_items" else ():     # rows that consent does not admit: a work item, never a name that a planner gives
            look = s3.get(shard(src, key), ZERO[shard(src, key)[0]])[1]; yield
            if all((x[1:],) == shown(s3, src, look, key, [x[2]]) for x in rows if x[1] == key): continue
            files = s3.get(("K", src, key), ())[1]; yield
            item = (src, shard(src, key), look["v"], ((k[1], key, tuple(f for f, x in files if x == k[1])),), "reconcile"); s3.put(("W", item), item); yield
    s3.send([ev for k in s3.list() for ev in triggers(("L" if k[0] == "P" else "A" if k[0] == "M" else k[0], *k[1:]))])

# ---- events -------------------------------------------------------------------------------------------------------------------------
def triggers(k):
    if k[0] == "L": return [("customer", k[2])] if k[1] == "cust" else [("landing", k[1], k[2])]
    if k[0] == "T": return [("planner", "acc", k), ("curated", k[1])]
    if k[0] in "AS": return [("train", k[1])]
    return {"R": [("curated", k[1])], "D": [("planner", "step", k)], "W": [("worker", k)]}.get(k[0], [])
def start(s3, evs):
    ev = evs[0]
    if ev[0] == "landing": return landing(s3, ev[1], [e[2] for e in evs])
    return {"customer": customer, "planner": planner, "worker": worker, "curated": curated, "train": train, "checked": checked, "reconcile": reconcile}[ev[0]](s3, *ev[1:])
