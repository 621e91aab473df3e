/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The CR3 signal and what is owed, under x86-TSO: invariants S13, S7 and M9.
 *
 * One CPU enters a guest, goes between its two roots, and leaves it, for ever and as
 * it likes. Others change an entry of one root each and flush it, some times. Every
 * CPU's stores go through a FIFO that drains when it pleases. The first CPU's page
 * walker reads entries and fills the TLB whenever it pleases, under whatever root is
 * loaded: that is all that speculation can do. A root's translation is a version
 * number: the entry's in memory, the TLB's copy of it, and the oldest that may still
 * be used since a flush returned.
 *
 * Owns the proof of what docs/cr3-signal.md says about LOAD_ROOT, pvm_switcher_run()
 * and pvm_switcher_flush(). -D chooses.
 *
 * The protocol:
 *   (none)		store the signal, write CR3, look at what is owed, pay
 *   XCHG		exchange the signal, look at what is owed, write CR3 once
 *   PEEK		as (none), but look at what is owed before the CR3 write, too
 * What has to hold beside M9, guest accesses:
 *   DEAD_TABLES	after a flush not even the walker uses what was there before, so
 *			the tables' memory may have another use
 *   LIVE		flushers come to an end (never claim, weak fairness)
 * What makes a protocol wrong:
 *   SWAPPED		the signal is stored after the CR3 write
 *   CHECK_EARLY	owed is looked at before the CR3 write only, without a fence
 *   NON_SERIALISING_CR3	a CR3 write that lets earlier stores wait
 *   NO_RELOAD		what is owed is taken note of, and CR3 not written again
 *   NO_FIRST_FLUSH	a new tag owes nothing (S7)
 *   NO_FENCE_FLUSHER	what is owed is set by a plain store
 *   NO_FENCE_SCAN	nothing between the entry's write and the look at the tags
 *   RUNS_EARLY		the count of runs is read before what is owed is set
 *   SIGNAL_WAIT	with DEAD_TABLES: the flusher waits for the signal, not for the
 *			end of the run
 * And what makes no difference:
 *   NO_PCID		each CR3 write flushes, nothing is ever owed
 */
#ifndef FLUSHES
#define FLUSHES	2			/* by each flusher */
#endif
#ifndef FLUSHERS
#define FLUSHERS 1
#endif

#define HOST	0
#define ROOTS	3			/* the host's, and two of a guest: 1 and 2 */
#define NOTHING	0			/* in the TLB; else the entry's version + 1 */

/* Memory, under the names of the code where it has one. */
byte signal_word;			/* pvm_switcher_cpu::signal */
bit owed[ROOTS];
bit tagged[ROOTS];			/* the root has a tag on the target */
bit in_run;				/* pvm_switcher_cpu::active */
bit ran[ROOTS];				/* runs has changed since that flusher read it */
byte entry[ROOTS];

/* The target: CR3, TLB by tag, a walk on its way, the interrupt line. */
byte cr3;
byte tlb[ROOTS];
byte walked;				/* NOTHING, or what the walker has read */
bit sent, pending;

/* What a flush has promised: versions below are not used any more. */
byte promised[ROOTS];
byte flushers_done;

/* Stores that other CPUs do not see yet: which, where, what. */
mtype = { SIGNAL_STORE, TAG_STORE, RUNS_STORE, ACTIVE_STORE, ENTRY_STORE, OWED_STORE };
chan target_buffer = [3] of { mtype, byte, byte };
chan flusher_buffer[ROOTS] = [2] of { mtype, byte, byte };	/* [0] is not used */

inline apply(what, where, value)
{
	if
	:: what == SIGNAL_STORE -> signal_word = value
	:: what == TAG_STORE -> tagged[where] = value
	:: what == RUNS_STORE -> ran[1] = 1; ran[2] = 1
	:: what == ACTIVE_STORE -> in_run = value
	:: what == ENTRY_STORE -> entry[where] = value
	:: what == OWED_STORE -> owed[where] = value
	fi
}

#define DRAIN(buffer) \
	do \
	:: atomic { buffer?what,where,value -> apply(what, where, value); what = 0; where = 0; value = 0 } \
	od

active proctype target_stores()
{
	mtype what;
	byte where, value;

end:	DRAIN(target_buffer)
}

proctype flusher_stores(byte root)
{
	mtype what;
	byte where, value;

end:	DRAIN(flusher_buffer[root])
}

/* An interrupt takes its time. */
active proctype interrupts()
{
end:	do
	:: atomic { sent -> sent = 0; pending = 1 }
	od
}

/* Reads an entry, and fills it in later unless CR3 was written in between. The TLB
 * never forgets by itself: what it then got would only be newer. No process waits for it. */
#ifndef LIVE
active proctype walker()
{
end:	do
	:: atomic { cr3 != HOST && walked == NOTHING && tlb[cr3] == NOTHING -> walked = entry[cr3] + 1 }
	:: atomic { walked != NOTHING ->
#ifdef DEAD_TABLES
		    assert(walked > promised[cr3]);
#endif
		    tlb[cr3] = walked; walked = NOTHING }
#ifdef DEAD_TABLES
	/* Cached upper levels: the walker reads the table that they name. */
	:: atomic { cr3 != HOST && tlb[cr3] != NOTHING -> assert(tlb[cr3] > promised[cr3]) }
#endif
	od
}
#endif

/* The target's instructions. MOV to CR3: */
inline mov_cr3(root, flush)
{
	atomic {
#ifndef NON_SERIALISING_CR3
		empty(target_buffer);
#endif
		cr3 = root;
		walked = NOTHING;
		if
#ifdef NO_PCID
		:: true -> tlb[1] = NOTHING; tlb[2] = NOTHING
#else
		:: flush -> tlb[root] = NOTHING
		:: else
#endif
		fi
	}
}

/* TEST, then LOCK AND: what was there is in @paid. */
inline take_owed(root)
{
	if
	:: owed[root] -> atomic { empty(target_buffer); paid = owed[root]; owed[root] = 0 }
	:: !owed[root] -> paid = 0
	fi
}

inline load_root(root)
{
#ifdef XCHG
	atomic { empty(target_buffer); signal_word = root };
	take_owed(root);
	mov_cr3(root, paid);
#else
#ifdef SWAPPED
	mov_cr3(root, 0);
	target_buffer!SIGNAL_STORE,0,root;
#else
	target_buffer!SIGNAL_STORE,0,root;
#ifdef PEEK
	if
	:: owed[root] -> mov_cr3(root, 1)
	:: !owed[root] -> mov_cr3(root, 0)
	fi;
#elif !defined(CHECK_EARLY)
	mov_cr3(root, 0);
#endif
#endif
	take_owed(root);
#ifdef CHECK_EARLY
	mov_cr3(root, paid);
#elif !defined(NO_RELOAD)
	if
	:: paid -> mov_cr3(root, 1)
	:: else
	fi;
#endif
#endif
	paid = 0
}

/* Both roots of the pair get a tag, if they have none. */
inline new_tag(root)
{
	if
	:: !tagged[root] ->
		atomic { empty(target_buffer); tagged[root] = 1 };
#if !defined(NO_FIRST_FLUSH) && !defined(NO_PCID)
		atomic { empty(target_buffer); owed[root] = 1 }
#endif
	:: else
	fi
}

/* pvm_switcher_run(), up to the guest. */
inline run_guest(root)
{
	target_buffer!RUNS_STORE,0,0;
	atomic { empty(target_buffer); in_run = 1 };	/* XCHG */
	new_tag(1);
	new_tag(2);
	load_root(root)
}

inline leave_guest()
{
	target_buffer!SIGNAL_STORE,0,HOST;
	mov_cr3(HOST, 0);
	target_buffer!ACTIVE_STORE,0,0
}

active proctype target()
{
	bit paid;

end:	do
	/* The host. A tag goes to another root only here. */
	:: cr3 == HOST -> pending = 0;
		if
		:: run_guest(1)
		:: run_guest(2)
		:: target_buffer!TAG_STORE,1,0
		:: target_buffer!TAG_STORE,2,0
		fi
	/* The guest. An access uses what the TLB has; the walker brings what it has not. */
	:: cr3 != HOST && pending -> pending = 0; leave_guest()
	:: atomic { cr3 != HOST && !pending && tlb[cr3] != NOTHING -> assert(tlb[cr3] > promised[cr3]) }
	:: cr3 != HOST && !pending -> leave_guest()
	:: cr3 == 1 && !pending -> load_root(2)
	:: cr3 == 2 && !pending -> load_root(1)
	od
}

/* LOCK OR, or with NO_FENCE_FLUSHER what it must not be. */
inline owe(root)
{
#ifdef NO_PCID
	empty(flusher_buffer[root])			/* MFENCE */
#elif defined(NO_FENCE_FLUSHER)
	flusher_buffer[root]!OWED_STORE,root,1
#else
	atomic { empty(flusher_buffer[root]); owed[root] = 1 }
#endif
}

/* What this flush has to see the end of: the root in use, or any run at all. */
#if defined(DEAD_TABLES) && !defined(SIGNAL_WAIT)
#define CONCERNED(root)	in_run
#else
#define CONCERNED(root)	(signal_word == root)
#endif

/* The one who changes entries of @root. The MMU's lock keeps others off. */
proctype flusher(byte root)
{
	byte version;
	bit has_tag, concerned;

	do
	:: version < FLUSHES ->
		version++;
		flusher_buffer[root]!ENTRY_STORE,root,version;
#ifndef NO_FENCE_SCAN
		empty(flusher_buffer[root]);		/* MFENCE */
#endif
#ifdef RUNS_EARLY
		ran[root] = 0;
#endif
		has_tag = tagged[root];
		if
		:: has_tag -> owe(root)
		:: else -> empty(flusher_buffer[root])	/* owes nothing, by a locked instruction */
		fi;
#ifndef RUNS_EARLY
		ran[root] = 0;
#endif
		concerned = CONCERNED(root);
		if
		:: has_tag && concerned ->
			if
			:: in_run -> sent = 1;
				do
				:: concerned = CONCERNED(root);
					if
					:: !concerned || ran[root] -> break
					:: else
					fi
				od
			:: !in_run
			fi
		:: else
		fi;
		/* The flush returns: M9. */
		atomic { promised[root] = version; has_tag = 0; concerned = 0 }
	:: else -> break
	od;
	flushers_done++
}

init
{
	atomic {
		run flusher_stores(1);
		run flusher(1);
#if FLUSHERS > 1
		run flusher_stores(2);
		run flusher(2)
#endif
	}
}

#ifdef LIVE
ltl live { <> (flushers_done == FLUSHERS) }
#endif
