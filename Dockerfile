# One image for every process of Encore; compose.yaml starts them.
FROM node:22-slim AS pages
WORKDIR /pages
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PYTHONPATH=/encore ENCORE_DATA_DIR=/var/lib/encore
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/encore encore \
    && install --directory --owner encore /var/lib/encore/models
WORKDIR /encore
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY . .
COPY --from=pages /pages/node_modules/hls.js/dist/hls.light.min.mjs web/static/vendor/
COPY --from=pages /pages/node_modules/hls.js/LICENSE web/static/vendor/hls.LICENSE
COPY --from=pages /pages/node_modules/swagger-ui-dist/swagger-ui-bundle.js /pages/node_modules/swagger-ui-dist/swagger-ui.css web/static/vendor/
COPY --from=pages /pages/node_modules/swagger-ui-dist/LICENSE web/static/vendor/swagger-ui.LICENSE
USER encore
ENTRYPOINT ["python", "-m", "web.cli"]
