# docker build -t pixelwise . && docker run --rm -v "$PWD/runs:/pixelwise/runs" pixelwise tools/quickstart.sh
FROM debian:12
WORKDIR /pixelwise
COPY tools/setup.sh tools/setup.sh
RUN apt-get update && apt-get install -y --no-install-recommends git g++ && tools/setup.sh
COPY . .
RUN tools/build.sh release
CMD ["tools/quickstart.sh"]
