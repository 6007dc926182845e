"""A random model of the lake's protocol: does every interleaving with crashes converge on the batch definition of the tables?

What is modeled. Three customers in two consent shards, three devices in two device shards, readings of two kinds in three cells.
Consent is given, withdrawn and dated again. Devices change owners. Landing files are replaced (by an earlier content too), deleted,
and unreadable for a while; some are deleted while their new version is half ingested. Events arrive in batches, twice, out of order,
and up to 600 steps late; some are lost for good. A process is killed at any request, or stalls for long. A put may be carried out and
its response lost. Work items hold one key or several. Any derived object is put back to an older content, or removed, at any time: a
consent shard also right behind the put of a newer version, with its writer killed. Then `reconcile` runs as one more process.

What must hold. After every write: no row without consent (2), no row of a withdrawal whose work is done (3). At rest: the tables are those
of the batch definition (1), a second delivery of everything, reconcile included, writes nothing (5), a withdrawal does not wait for the
landing bucket (7). Behind a put-back (9): no false alarm, an alarm where a confirmed version was put back, no withdrawal lost that is
processed afterwards, and no withdrawal at all that a consent shard ever held; after reconcile all of the above.
While a consent shard is put back, rows may be shown by its older content, but not in cells that a newer version fenced.
While a container, manifest, index, checkpoint or work item is put back, and where a shard's put-back is undone by hand, (3) is not
checked until reconcile is done.

What is not modeled. Slices, partitions, receipts of consent changes, suspensions. Landing buckets that keep versions. A high-water
mark that is put back together with its shard. A process that runs from before a manifest is put back until behind reconcile: two versions
of a file may then have one generation. A request is carried out at one instant, and time passes between requests only.

The protocol must hold in every run. A variant leaves one step of it out, and some run must catch it: so each step is needed.

usage: protocol_model.py RUNS [VARIANT | -] [FIRST_SEED] [all]      a VARIANT stops when it is caught, unless `all` is given
       protocol_model.py list                                        prints each variant and the seed from which to search it
       protocol_model.py trace SEED [VARIANT]                        prints every request of one run
The exit status is 1 if the protocol is violated, or a variant is not caught.
"""
import random, sys
import protocol_steps
from protocol_steps import *

VARIANTS = {
    "no_cas": "puts are unconditional",
    "no_look_again": "a file is not looked at again behind the manifest of a later version",
    "no_union": "a manifest names the cells of its version only",
    "no_generation": "an entry of a later generation is overwritten",
    "no_empty_entry": "no empty entry is put as a fence against earlier generations",
    "gone_done": "a file that is gone is acknowledged, however far its last version is ingested",
    "gone_no_fence": "a file that is gone leaves no fence where it has no entry",
    "manifest_below": "a manifest below the generation of an entry is used as it is",
    "index_late": "the key index is written after consent is read",
    "index_rewrites": "a new version of a file takes its former cells from the key index",
    "no_version_rule": "consent older than a container's vector is not read again",
    "below_goes_on": "a consent shard that stays below a container's vector is used",
    "no_fence": "a work item without changed rows puts nothing",
    "fence_rows_only": "a work item without changed rows puts nothing where there are no rows",
    "no_filter_own": "a work item filters rows of current files only",
    "worker_generation": "a work item overwrites entries of later generations",
    "worker_not_current": "a work item uses a file that its manifest does not describe",
    "worker_below": "a work item uses a consent shard below the version that it was planned from",
    "unreadable_done": "a work item is deleted though a file could not be read",
    "unreadable_waits": "a work item removes no row while a file cannot be read",
    "item_by_index": "work items are named by their number",
    "early_checkpoint": "the checkpoint is advanced before work items are put",
    "shard_first": "a planner reads the shard before the checkpoint",
    "delete_first": "a work item is deleted before its work is done",
    "forget_withdrawal": "withdrawn dates are those of the present entries",
    "curated_claims_only": "curated holds claims of eligible customers only",
    "curated_skip_equal": "curated is not put if its claims are equal",
    "device_now": "only the device shard that a customer names now gets the claim",
    "device_no_fence": "an equal claim of a later version is not put",
    "device_no_version": "a claim of a later version is overwritten",
    "train_inputs_first": "training reads its inputs before its output",
    "train_skip_equal": "training is not put if its rows are equal",
    "train_absent": "training is left as it is where one of its inputs was removed",
    "receipt_now": "a receipt is written again with the rows of now",
    "no_high_water": "consent shards have no high-water mark",
    "high_water_late": "the high-water mark is put after the shard",
    "high_water_read_late": "the high-water mark is read after the shard",
    "high_water_no_cas": "the high-water mark is put unconditionally",
    "version_reused": "a version that a high-water mark holds, but the shard does not, is used again",
    "unconfirmed_no_keys": "what an unconfirmed version changed is not changed again by the next one",
    "no_confirm": "a high-water mark is not confirmed behind the put of the shard",
    "no_restore": "a writer that finds the shard below its high-water mark goes on with the next version",
    "idle_no_restore": "a writer with nothing to put does not restore",
    "idle_no_flush": "a writer with nothing to put leaves an unconfirmed version alone",
    "restore_no_keys": "a restored shard names only the keys that this put changes",
    "restore_forgets": "a restored shard has the withdrawn dates of the older content",
    "restore_no_shards": "a restored U has the device shards of the older content",
    "restore_no_claims": "a restored D has the claims of the older content",
    "planner_no_check": "a planner that finds the shard below its checkpoint does nothing",
    "curated_no_check": "curated is materialized from a T that is older than the one before",
    "reconcile_no_shards": "reconcile does not compare shards with their high-water marks",
    "reconcile_no_manifests": "reconcile does not compare manifests with entries",
    "reconcile_no_index": "reconcile does not compare the key index with rows",
    "reconcile_no_items": "reconcile does not compare rows with consent",
}
# The rare ones are searched from a little before a seed that catches them; all others from 0.
FIRST_SEEDS = {
    "index_rewrites": 600, "below_goes_on": 600, "manifest_below": 1_000, "reconcile_no_manifests": 1_000, "high_water_no_cas": 1_500,
    "curated_skip_equal": 1_500, "worker_generation": 2_000, "reconcile_no_items": 2_700, "gone_no_fence": 2_800, "high_water_late": 3_200,
    "unconfirmed_no_keys": 5_500, "version_reused": 6_100, "train_skip_equal": 13_600, "worker_below": 13_800, "train_absent": 17_000,
    "worker_not_current": 21_300, "item_by_index": 75_000, "reconcile_no_index": 109_700,
}
class Violation(Exception): pass

class Lake(S3):
    def __init__(s, r):
        super().__init__(r); s.loose = s.alarmed = s.must_alarm = s.was_raw = s.raw = s.lasting = False; s.snipe = ""
        s.consented = set(); s.withdrawn = {}; s.uploaded = {}; s.old = {}; s.top = {}; s.notice = {}; s.since = set(); s.pending = lambda ev: False
    def watch(s, k, v, was): watch(s, k, v, was)
    def alarm(s, k, x, high, known):
        super().alarm(k, x, high, known); s.alarmed = True
        if not s.was_raw: raise Violation("9 false alarm")
    def back(s, *ks):                                           # is a consent shard put back, and not restored yet?
        return any(s.top.get(k, H0)["v"] > s.value(k, H0)["v"] for k in ks or list(s.top))

# ---- checks at every moment --------------------------------------------------------------------------------------------------------
def watch(s3, k, v, was):
    if k[0] != "L" and v is not None: s3.old.setdefault(k, []).append(v)
    if k[0] in ZERO and v and v["v"] >= s3.top.get(k, H0)["v"]: s3.top[k] = v
    if k[0] == "T" and v:
        for c, date in v["withdrawn"].items(): s3.withdrawn[c] = max(date, s3.withdrawn.get(c, -1))
    if k[0] in "AS" and v:
        if any(row[2] not in s3.consented for _, rows in v["files"].values() for row in rows): raise Violation("2 never consented")
        reappears(s3, "acc" if k[0] == "A" else "step", [k], was)
    if k[0] == "M" and v:
        now = set(pairs(s3.value(("A", k[1]), C0), s3.value(("S", k[1]), C0)))
        if not set(v["rows"]) <= now and not s3.pending(("train", k[1])) and not s3.loose: raise Violation("3 reappears in training")
    if k[0] == "U" and v and v["of"] != (s3.get(("T", k[1]))[0], s3.get(("R", k[1]))[0]) and not s3.pending(("curated", k[1])) and not s3.was_raw and not s3.loose: raise Violation("3 curated is left behind")
    if k[0] == "U" and v and was and v["tv"] < was["tv"] and not s3.raw: raise Violation("3 curated from a shard that is put back")
    if k[0] == "W" and v is None and was[0] != "check" and not s3.loose:        # done: also while the shard is put back
        top = s3.top.get(was[1], ZERO[was[1][0]])
        for cell, key, _ in was[3] if was[2] <= top["v"] else ():
            if was[2] < top["changed"].get(key, 0): continue
            for x in (x for _, rows in s3.value(container(was[0], cell), C0)["files"].values() for x in rows if x[0] == key):
                if shown(s3, was[0], top, key, [x[1]]) != (x,): raise Violation("3 a work item is done, and its rows are there")
    src = k[1][0] if k[0] == "W" and v is None else k[1] if k[0] == "C" else ""
    if src in ("acc", "step"): reappears(s3, src, s3.list("A" if src == "acc" else "S"))
    if (k[0] == "D" or k[0] == "C" and k[1] == "curated") and not s3.back(("U", 0), ("U", 1), ("D", 0), ("D", 1)):
        for n in (0, 1):
            u, done = s3.value(("U", n), U0), s3.value(("C", "curated", n), 0)
            for c, x in ((c, x) for c, at in u["changed"].items() for x in (0, 1) if at <= done):
                want = u["claims"].get(c); want = want if want and DS[want[0]] == x else None
                if s3.value(("D", x), D0)["claims"].get(c, (0, None))[1] != want: raise Violation("3 device claim")
def reappears(s3, src, names, was=None):                                # a row that may not be shown, although its work items are done
    if s3.loose: return
    for n, key, t, who in ((n,) + row for n in names for _, rows in s3.value(n)["files"].values() for row in rows):
        sh = shard(src, key); look = s3.top.get(sh, ZERO[sh[0]]); changed = look["changed"].get(key, 0)
        if s3.back(sh) and (was or s3.value(n))["vector"].get(sh, 0) < max(changed, 1): continue       # until it is restored: in the cells that were fenced
        if shown(s3, src, look, key, [t]) == ((key, t, who),) or s3.value(("C", src, sh), 0) < changed: continue
        if not any(w[1][0] == src and any(key == k for _, k, _ in s3.value(w)[3]) for w in s3.list("W")): raise Violation("3 reappears in " + src)

# ---- check at rest: the batch definition over the landing files ----------------------------------------------------------------------
def check(s3):
    if s3.back(): return "9 a shard is put back and not restored"
    if s3.must_alarm and not s3.alarmed: return "9 no alarm"
    recs = {"files": {}, "withdrawn": {}, "changed": {}}; files = {k[2] for k in s3.list("L", "cust")}
    for n in (0, 1):
        t = s3.value(("T", n), T0); recs["withdrawn"].update(t["withdrawn"])
        for f, (g, rows) in t["files"].items():
            if f not in files: recs["files"][f, n] = (g, rows)  # gone: what was read of its last version counts
            if f not in files and rows and g != s3.value(("P", "cust", f), {"g": 0})["g"]: return "1 two generations of cust"
    for f in files:
        recs["files"][f] = (0, s3.value(("L", "cust", f)))
        for k, date, since, _ in s3.value(("L", "cust", f)):
            if since is None and recs["withdrawn"].get(k, -1) < date: return "1 withdrawal not seen"
    if any(recs["withdrawn"].get(k, -1) < date for k, date in s3.withdrawn.items()): return "1 withdrawal forgotten"
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
            if any(g != s3.value(("P", src, f), {"g": 0})["g"] for f, (g, rows) in s3.value(container(src, cell), C0)["files"].items() if rows and f in gone): return "1 two generations of " + src
            if sorted(i for i in have if i[0] not in gone) != sorted(want) or len(set(have)) != len(have): return "1 rows of " + src
            for f, k, t, who in (i for i in have if i[0] in gone):          # a file that is gone: nothing that may not be shown
                if not any((k, t) in v for v in s3.uploaded[src, f]) or ((k, t, who),) != shown(s3, src, look, k, [t]): return "1 rows of a file that is gone"
    for cell in (0, 1, 2):
        if s3.value(("M", cell), {"rows": ()})["rows"] != pairs(s3.value(("A", cell), C0), s3.value(("S", cell), C0)): return "1 training"
    if s3.list("W"): return "5 work items left"
    for k in s3.list("C"):
        if s3.value(k) != s3.value(k[2] if k[1] != "curated" else ("U", k[2]))["v"]: return "5 checkpoint"
    for k in s3.list("H"):
        if s3.value(k)["v"] != s3.value(k[1:], H0)["v"]: return "5 high-water mark"
def at_rest_behind_a_put_back(s3):                              # before anything is reconciled: what was processed since is not lost
    if any(0 < s3.value(k, H0)["v"] < v for k, v in s3.notice.items()): return "9 put back and not noticed"
    if s3.loose: return None
    for _, src, k in [k for k in s3.list("C") if k[1] != "curated" and not s3.back(k[2])]:
        if s3.value(("C", src, k)) != s3.value(k)["v"]: return "9 put back, and not planned since"
        reappears(s3, src, s3.list("A" if src == "acc" else "S"))
    for f in s3.since:
        for k, date, since, _ in s3.value(f, ()):
            if since is None and s3.value(("T", CS[k]), T0)["withdrawn"].get(k, -1) < date: return "9 a withdrawal is lost"
def stopped(s3):                                                # the landing bucket cannot be read: are the withdrawn rows gone all the same?
    for _, t, who in (row for n in s3.list("A") + s3.list("S") for _, rows in s3.value(n)["files"].values() for row in rows):
        c = claim(s3.value(("T", CS[who]), T0), who)
        if not c or c[2] is None or not (s3.ever or t >= c[2]): return "7 a withdrawal waits for the landing bucket"

# ---- one run ----------------------------------------------------------------------------------------------------------------------
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
    if r.random() < .15:                                        # few inputs; a file is deleted, an object put back, and each has time to be processed
        consent = lambda date, *since: [("L", ("L", "cust", "p"), tuple((k, date, r.choice(since), r.choice(devices)) for k in keys))]
        f, x = [("L", ("L", "acc", "f"), readings(keys * 2)) for i in (0, 1)], [("L", ("L", "step", "x"), readings(devices * 2)) for i in (0, 1)]; wait = [("wait", None, None)]
        middle = [wait + [("raw", r.choice("TUDASSAPPKKRCWH"), r.random() < .2)], consent(2, None, 0), [("delete", r.choice([f, x])[0][1], None)]]; r.shuffle(middle)
        inputs = consent(1, 0) + [f[0], x[0]] + sum(middle, []) + r.choice([wait, []]) + [("reconcile", None, None)] + r.choice([wait, []]) + sum((i for i in [[f[1]], [x[1]], consent(3, None, 0, 3)] if r.random() < .4), [])
        return inputs[::-1]
    r.shuffle(inputs)
    if r.random() < .25:                                        # one file goes to and fro between two contents
        src, ks, f = r.choice([("acc", keys, "f"), ("step", devices, "x")]); two = readings(ks), readings(ks)
        for i in range(r.randrange(2, 6)): inputs.insert(r.randrange(len(inputs) + 1), ("L", ("L", src, f), two[i % 2]))
    for i in range(len(inputs)):                                # a content may come back, and with it its ETag
        again = [v for what, k, v in inputs[:i] if k == inputs[i][1] and what == "L"]
        if again and r.random() < .3: inputs[i] = inputs[i][:2] + (r.choice(again),)
        elif r.random() < .06: inputs[i] = ("delete", inputs[i][1], None)
    if r.random() < .4:                                         # objects are put back to an older content, or removed, at any time
        kinds = r.choice(["T", "T", "TUD", "TUD", "ASM", "PKW", "RC", "TUDASMPKRCW", "H"])
        for i in range(r.choice([1, 1, 2, 3])): inputs.insert(r.randrange(len(inputs) // 3, len(inputs) + 1), ("raw", r.choice(kinds), r.random() < .3))
        if r.random() < .5: inputs.insert(r.randrange(len(inputs)), ("delete", r.choice([i for i in inputs if i[0] == "L"])[1], None))
        if r.random() < .5: inputs.append(("L", ("L", "cust", r.choice("pq")), tuple(record(k) for k in keys)))
        inputs.insert(r.randrange(max(i for i, x in enumerate(inputs) if x[0] == "raw") + 1, len(inputs) + 1), ("reconcile", None, None))
    return inputs[::-1]
def put_back(s3, k):
    old = s3.old.get(k, [])[:-1]
    if not old or s3.value(k) is None: return
    old = s3.r.choice([None, old[-1], old[-1], s3.r.choice(old)]); s3.was_raw = True; s3.loose |= k[0] in "ASMPKWC"; s3.lasting |= k[0] == "P"; count("put back " + k[0])
    done = s3.value(("C", "acc" if k[0] == "T" else "step", k), 0)
    if k[0] in "TH": s3.since.clear()
    if old and k[0] in "TD" and done > old["v"]: s3.notice[k] = done
    if old and k in s3.top and s3.back(k) and old["v"] >= s3.top[k]["v"]: s3.loose = True      # undone by hand: what was done in between is not noticed
    s3.raw = True; s3.put(k, old) if old is not None else s3.delete(k)
    s3.raw = False
def run(seed, trace=False):
    r = random.Random(seed); s3 = Lake(r); inputs = draw(r); queue, late, procs, events, due = [], [], [], set(), []; lost = r.choice([0, 0, 0, 0, .05])
    if lost and not any(i[0] == "reconcile" for i in inputs): inputs.insert(0, ("reconcile", None, None))
    p_late = r.choice([0, 0, .1, .4])
    crashes = r.choice([0, 2, 6, 12]); seen = steps = 0; s3.lose = r.choice([0, 0, .05])
    p_in = r.choice([.02, .1, .3]); p_event = p_in + r.choice([.05, .2, .5]); p_crash = r.choice([.02, .1, .3])
    stalls = r.random() < .7; p_stall = r.choice([.02, .08, .2]); batch = r.choice([1, 1, 3]); rest = r.random() < .2; outage = r.random() < .2
    say = print if trace else (lambda *a: None)
    s3.say = say; s3.pending = lambda ev: s3.down or lost or ev in queue or any(ev == e for _, e in late) or sum(ev in evs for evs, _, _ in procs) > 1
    def enqueue(evs):
        for ev in evs:
            events.add(ev)
            if lost and any(i[0] == "reconcile" for i in inputs) and r.random() < lost: count("event lost"); say("LOST", ev)
            elif not s3.down and r.random() < p_late: late.append((steps + r.choice([30, 200, 600]), ev))
            else: queue.append(ev)
    s3.send = enqueue
    def deliver():
        nonlocal seen
        while seen < len(s3.log):
            k = s3.log[seen]; enqueue(triggers(k)); seen += 1
            if s3.snipe == k[0]: s3.snipe = ""; due.append((steps + r.choice([0, 3, 10, 30]), k))
    try:
        while inputs or queue or procs or late:
            if (steps := steps + 1) > 60000: return "endless"
            if due and due[-1][0] <= steps:
                k = due.pop()[1]
                if any(i[0] == "reconcile" for i in inputs): put_back(s3, k); deliver()
            if late and (late[0][0] <= steps or not queue and not procs): queue.append(late.pop(r.randrange(len(late)))[1])
            x = r.random(); idle = not queue and not procs and not late; mended = not any(i[0] == "reconcile" for i in inputs)
            if inputs and (idle or x < p_in and not (inputs[-1][0] == "wait" or rest and inputs[-1][0] == "L" or s3.lasting and procs and inputs[-1][0] == "reconcile")):
                if idle and not lost and not mended and s3.was_raw and (v := at_rest_behind_a_put_back(s3)): return v
                if idle and mended: s3.loose = False; s3.was_raw = False
                if idle and (mended or not lost and not s3.was_raw) and (v := check(s3)): return v
                what, k, v = inputs.pop(); say("INPUT", what, k, v)
                if what == "L":
                    if k[1] == "cust": s3.since.add(k); s3.consented |= {c[0] for c in v if c[2] is not None}
                    s3.uploaded.setdefault(k[1:], []).append(v); s3.put(k, v)
                elif what == "delete": s3.delete(k)
                elif what == "raw" and v: s3.snipe = k          # put back soon after it is put
                elif what == "raw" and s3.list(k): put_back(s3, r.choice(s3.list(k)))
                elif what == "reconcile": s3.must_alarm |= idle and not lost and s3.back(); enqueue([("reconcile",)])
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
                    crashes -= 1; procs.pop(i); enqueue(evs); count("killed " + evs[0][0]); say("KILL", evs); continue
                try: next(p)
                except StopIteration: procs.pop(i); say("END", evs)
                except Failed: procs.pop(i); enqueue(evs); say("FAIL", evs)
                else:
                    n = len(due); deliver()
                    if len(due) > n and r.random() < .7:        # its put will be put back: kill it, and let its file be gone when it is tried again
                        procs.pop(i); late += [(steps + 60, ev) for ev in evs]; say("KILL", evs)
                        if evs[0][0] == "customer" and r.random() < .5: inputs.append(("delete", ("L", "cust", evs[0][1]), None))
            deliver()
            if outage and not s3.was_raw and not lost and r.random() < .01:      # the landing bucket cannot be read: whatever else can be done is done
                outage = False; s3.down = True; count("outage"); say("OUTAGE")
                queue += [ev for _, ev in late]; late.clear(); todo, procs[:], tried = [(evs, p) for evs, p, _ in procs], [], False
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
        if v := check(s3): return v
        s3.lose = 0; writes = s3.writes
        for ev in sorted(events, key=str):                      # every event once more writes nothing
            for _ in start(s3, [ev]): pass
            if s3.writes != writes: say("AGAIN", s3.log[-1]); return "5 redelivery of " + ev[0]
    except Violation as e: return str(e)
if __name__ == "__main__":
    args = sys.argv[1:]; trace = args[:1] == ["trace"]
    if args == ["list"]: print(*(f"{variant} {FIRST_SEEDS.get(variant, 0)}" for variant in VARIANTS), sep="\n"); sys.exit()
    MUT = protocol_steps.MUT = next((a for a in args[2 if trace else 1:][:1] if a != "-"), ""); bad = {}
    assert not MUT or MUT in VARIANTS, f"expected one of {' '.join(VARIANTS)}"
    if trace: print(run(int(args[1]), True)); sys.exit()
    RUNS = int(args[0]) if args else 1000; FIRST = int(args[2]) if len(args) > 2 else 0
    for seed in range(FIRST, FIRST + RUNS):
        v = run(seed)
        if v: bad.setdefault(v, []).append(seed)
        if v and MUT and "all" not in sys.argv: print(f"{MUT:22} caught in run {seed - FIRST + 1:,} from seed {FIRST:,} as {v}", flush=True); break
    else:
        print(*(f"{n:12,} {what}\n" for what, n in sorted(COUNT.items()) if not MUT), sep="", end="")
        print(MUT or "protocol", {k: (len(v), v[0]) for k, v in bad.items()} or "no violation", "in", RUNS, "runs from seed", FIRST, flush=True)
    sys.exit(bool(bad) != bool(MUT))
