/** What must hold of every history of a log: collected while it runs, judged against what a fresh open reads at the end. */

/** An append that an owner sent, and the answer that it had. */
export interface Sent {
	readonly value: string
	readonly epoch: number
	verdict: 'acknowledged' | 'fenced' | 'open'
}

/** What a claimer had read when it became the owner of `epoch`. */
interface Claim {
	readonly who: string
	readonly epoch: number
	readonly values: readonly string[]
}

export class LogOracle {
	/** In the order in which the owners learned of it. */
	readonly acknowledged: string[] = []
	readonly problems: string[] = []
	readonly #sent: Sent[] = []
	readonly #claims: Claim[] = []
	readonly #views: (readonly string[])[] = []

	send(value: string, epoch: number): Sent {
		const sent: Sent = { value, epoch, verdict: 'open' }
		this.#sent.push(sent)
		return sent
	}

	acknowledge(sent: Sent): void {
		if (sent.verdict === 'acknowledged') return
		sent.verdict = 'acknowledged'
		this.acknowledged.push(sent.value)
	}

	fence(sent: Sent): void {
		if (sent.verdict === 'open') sent.verdict = 'fenced'
	}

	claim(who: string, epoch: number, values: readonly string[]): void {
		this.#claims.push({ who, epoch, values: [...values] })
	}

	/** `before` was acknowledged when the read began; a read that is not fresh by rule passes nothing. */
	view(who: string, values: readonly string[], before: readonly string[] = []): void {
		this.#views.push([...values])
		const seen = new Set(values)
		const stale = before.find(value => !seen.has(value))
		if (stale !== undefined) this.problems.push(`${who} does not see ${stale}`)
	}

	/** Judges everything against `final`, the whole history as a fresh open reads it. */
	judge(final: readonly string[]): void {
		const places = new Map(final.map((value, index) => [value, index]))
		if (places.size !== final.length) this.problems.push('a record came twice')
		const lost = this.acknowledged.find(value => !places.has(value))
		if (lost !== undefined) this.problems.push(`lost acknowledged ${lost}`)
		for (const view of this.#views) {
			if (view.some((value, index) => final[index] !== value)) this.problems.push('a view is no prefix of the history')
		}
		this.#judgeSent(places)
		this.#judgeClaims(final)
	}

	/** Fenced means: not in the log. Records stand in the order of epochs, and of sending within one. */
	#judgeSent(places: ReadonlyMap<string, number>): void {
		let before = -1
		for (const { value, verdict } of this.#sent.toSorted((a, b) => a.epoch - b.epoch)) {
			const place = places.get(value)
			if (place === undefined) continue
			if (verdict === 'fenced') this.problems.push(`${value} is in the log, and its owner was told that it is not`)
			if (place < before) this.problems.push(`${value} stands before what was sent earlier`)
			before = place
		}
	}

	/** An epoch has one owner, and that one had read the whole of the history before it, whatever was acknowledged when. */
	#judgeClaims(final: readonly string[]): void {
		const epochs = new Set(this.#claims.map(claim => claim.epoch))
		if (epochs.size !== this.#claims.length) this.problems.push('an epoch has two owners')
		const epochOf = new Map(this.#sent.map(sent => [sent.value, sent.epoch]))
		for (const { who, epoch, values } of this.#claims) {
			const history = final.filter(value => (epochOf.get(value) ?? 0) < epoch)
			const wrong = history.findIndex((value, index) => values[index] !== value)
			if (wrong !== -1) this.problems.push(`${who} claimed epoch ${epoch} without ${history[wrong]}`)
			if (values.length > history.length) this.problems.push(`${who} claimed epoch ${epoch} with too many values`)
		}
	}
}
