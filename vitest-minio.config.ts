/** `npm run test:minio`: what `npm test` leaves out, because MinIO takes minutes to build where it is not built yet. */
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
	test: {
		include: ['test/minio/s3-on-minio.ts'],
		globalSetup: ['test/project/node-version.ts', 'test/project/seed.ts'],
		setupFiles: ['test/support/seeded-properties.ts'],
		pool: 'forks',
		allowOnly: false,
		testTimeout: 120_000,
		hookTimeout: 120_000,
	},
})

export default config
