import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
	test: {
		include: ['test/**/*.test.ts'],
		globalSetup: ['test/project/node-version.ts', 'test/project/seed.ts'],
		setupFiles: ['test/support/seeded-properties.ts', 'test/support/table-equality.ts'],
		// Processes, not threads: they start worker threads of their own as an application does, and a test that loses
		// one takes nothing else with it. On two cores both take the same time; one worker fewer than cores takes 1.5 times.
		pool: 'forks',
		maxWorkers: '100%',
		allowOnly: false,
		testTimeout: 120_000,
		hookTimeout: 120_000,
	},
})

export default config
